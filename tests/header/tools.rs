//! The programs that the tests need, and what happens when one is missing.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::generate::root;

/// A folder for the files of one test.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header").join(name);
    std::fs::create_dir_all(&folder).expect("a folder for the test's files");
    folder
}

/// Writes a file of a test.
pub fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file of the test");
    path
}

/// Runs a program.
pub fn run<I: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = I>) -> std::io::Result<Output> {
    Command::new(program).args(arguments).output()
}

/// Runs a program that must succeed, and gives what it printed.
pub fn output<I: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = I>) -> String {
    let output = run(program, arguments).unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} failed ({}):\n{errors}",
        output.status
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Whether a program answers to these arguments. If not, the test cannot be made: a failure where CI is set, elsewhere a
/// loud word past the test harness, which would swallow it.
pub fn has(program: &str, arguments: &[&str], purpose: &str) -> bool {
    if run(program, arguments).is_ok_and(|output| output.status.success()) {
        return true;
    }
    let words = format!(
        "SKIPPED: {purpose}: `{program} {}` does not work here",
        arguments.join(" ")
    );
    assert!(std::env::var_os("CI").is_none(), "{words}");
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "\n{words}\ntests/header: 1 skipped").expect("a place for bad news");
    false
}

/// The shared library of the build that this test belongs to; built when it is not there.
pub fn shared_library() -> PathBuf {
    let name = format!(
        "{}pondsocket{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let test = std::env::current_exe().expect("the path of this test");
    let deps = test.parent().expect("the folder of the tests");
    let profile = deps.parent().expect("the folder of the profile");
    let places = [deps.join(&name), profile.join(&name)];
    let find = || places.iter().find(|place| place.exists()).cloned();
    if let Some(library) = find() {
        return library;
    }
    // <target directory>[/<triple>]/<profile>/deps/<this test>
    let manifest = root().join("Cargo.toml");
    let target = profile.parent().expect("the target directory");
    let profile_name = match profile.file_name() {
        Some(name) if name != "debug" => name,
        _ => OsStr::new("dev"),
    };
    let flags = ["build", "--lib", "--manifest-path"].map(OsStr::new).into_iter();
    let rest = [
        manifest.as_os_str(),
        OsStr::new("--target-dir"),
        target.as_os_str(),
        OsStr::new("--profile"),
        profile_name,
    ];
    output(env!("CARGO"), flags.chain(rest));
    find().unwrap_or_else(|| panic!("cargo built no {name} in {}", profile.display()))
}
