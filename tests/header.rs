//! The C header: generated, complete, documented, and good for every compiler and loader that will read it.
//!
//! `POND_WRITE_HEADER=1 cargo test --test header` writes include/pondsocket.h.

// A test that cannot do its work has to end; clippy takes only the functions marked #[test] for tests.
#![allow(clippy::expect_used, clippy::panic)]

#[path = "header/generate.rs"]
mod generate;
#[path = "header/parse.rs"]
mod parse;
#[path = "header/tools.rs"]
mod tools;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use generate::{contract, generate, header_path};
use parse::{Kind, parse};
use pondsocket::ffi::constants::{POND_ABI_VERSION, POND_FOREVER};
use tools::{file, folder, has, output, run, shared_library};

/// The header as the sources have it now: what the other tests look at, so that they do not depend on the committed file.
fn header() -> &'static str {
    static HEADER: OnceLock<String> = OnceLock::new();
    HEADER.get_or_init(generate)
}

/// A folder with the header in it.
fn with_header(name: &str) -> PathBuf {
    let folder = folder(name);
    file(&folder, "pondsocket.h", header());
    folder
}

/// What is different, line by line: the lines of one that the other does not have in the same order.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    // common[i][j]: the length of the longest common sequence of old[i..] and new[j..].
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut out = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            out.push(format!("{:4} - {}\n", i + 1, old[i]));
            i += 1;
        } else {
            out.push(format!("{:4} + {}\n", j + 1, new[j]));
            j += 1;
        }
    }
    let more = out.len().saturating_sub(60);
    out.truncate(60);
    if more > 0 {
        out.push(format!("... and {more} more lines\n"));
    }
    out.concat()
}

#[test]
fn the_committed_header_is_the_generated_one() {
    if std::env::var_os("POND_WRITE_HEADER").is_some() {
        let path = header_path();
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("include/ can be made");
        std::fs::write(path, header()).expect("include/pondsocket.h can be written");
    }
    let committed = std::fs::read_to_string(header_path()).unwrap_or_default();
    assert!(
        committed == header(),
        "include/pondsocket.h is not what the sources say; write it with POND_WRITE_HEADER=1.\n{}",
        difference(&committed, header())
    );
}

#[test]
fn the_header_declares_what_the_contract_says() {
    let promised: BTreeSet<String> = contract().into_iter().flat_map(|section| section.lines).collect();
    let items = parse(header());
    let declared: BTreeSet<String> = items.iter().flat_map(|item| item.contract_lines()).collect();
    let list = |set: Vec<&String>| set.iter().map(|line| format!("    {line}\n")).collect::<String>();
    let missing = list(promised.difference(&declared).collect());
    let more = list(declared.difference(&promised).collect());
    assert!(
        missing.is_empty() && more.is_empty(),
        "tests/header/contract.txt and the header differ.\nNot in the header:\n{missing}Not in the contract:\n{more}"
    );
    let lines: usize = items.iter().map(|item| item.contract_lines().len()).sum();
    assert_eq!(lines, declared.len(), "something is declared twice");
}

#[test]
fn everything_is_documented() {
    let mut bare = Vec::new();
    for item in parse(header()) {
        // The names of the version macros say it all.
        if item.comment.is_empty() && !item.name.starts_with("POND_VERSION_") {
            bare.push(item.name.clone());
        }
        if let Kind::Enum { values: members } | Kind::Struct { fields: members } = &item.kind {
            let bare_members = members.iter().filter(|member| member.comment.is_empty());
            bare.extend(bare_members.map(|member| format!("{}: {}", item.name, member.text)));
        }
    }
    assert!(bare.is_empty(), "without a comment: {bare:#?}");
}

#[test]
fn the_text_reads_as_c() {
    for (index, line) in header().lines().enumerate() {
        let number = index + 1;
        assert!(line.len() <= 120, "line {number} is too long: {line}");
        assert!(line.is_ascii(), "line {number} is not ASCII: {line}");
        assert_eq!(line, line.trim_end(), "line {number} ends in blanks");
        for rust in ["[`", "::", "&mut ", "Option<"] {
            assert!(!line.contains(rust), "line {number} speaks Rust: {line}");
        }
        if let Some(macro_name) = line.trim_start().strip_prefix("#define ") {
            let name = macro_name.split(' ').next().unwrap_or_default();
            assert!(!name.contains('('), "line {number} is a function-like macro: {line}");
        }
    }
}

#[test]
fn it_compiles_alone_everywhere() {
    let folder = with_header("compile");
    let twice = "#include \"pondsocket.h\"\n#include \"pondsocket.h\"\nint pond_header_test_unit;\n";
    let source = file(&folder, "alone.c", twice);
    for compiler in ["gcc", "clang"] {
        if !has(compiler, &["--version"], "the header compiles alone") {
            continue;
        }
        for (language, standard) in [
            ("c", "c99"),
            ("c", "c11"),
            ("c", "c17"),
            ("c++", "c++11"),
            ("c++", "c++17"),
            ("c++", "c++20"),
        ] {
            let standard = format!("-std={standard}");
            let flags = [
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-fsyntax-only",
                "-x",
                language,
            ];
            let source = source.display().to_string();
            output(compiler, flags.into_iter().chain([standard.as_str(), source.as_str()]));
        }
    }
}

#[test]
fn compilers_told_to_be_pedantic_refuse_a_fault() {
    // The proof that the test before can fail: an empty declaration is none in C99, which only pedants mind.
    let folder = with_header("pedantic");
    let source = file(&folder, "bad.c", "#include \"pondsocket.h\"\n;\n");
    for compiler in ["gcc", "clang"] {
        if has(compiler, &["--version"], "the flags find faults") {
            let source = source.display().to_string();
            let flags = ["-Wpedantic", "-Werror", "-fsyntax-only", "-std=c99", source.as_str()];
            let answer = run(compiler, flags).expect("the compiler runs");
            assert!(!answer.status.success(), "{compiler} took bad C");
        }
    }
}

#[test]
fn macros_have_the_values_of_the_crate() {
    if !has("cc", &["--version"], "the macros' values") {
        return;
    }
    let folder = with_header("macros");
    let source = file(
        &folder,
        "macros.c",
        r#"#include "pondsocket.h"
#include <stdio.h>
int main(void) {
    printf("%d.%d.%d\n", POND_VERSION_MAJOR, POND_VERSION_MINOR, POND_VERSION_PATCH);
    printf("%lu\n%lu\n", (unsigned long)POND_ABI_VERSION, (unsigned long)POND_FOREVER);
    uint32_t forever = POND_FOREVER;
    printf("%d\n", forever + 1u == 0);
    return 0;
}
"#,
    );
    let program = folder
        .join(format!("macros{}", std::env::consts::EXE_SUFFIX))
        .display()
        .to_string();
    let source = source.display().to_string();
    output(
        "cc",
        ["-std=c99", "-Wall", "-Werror", "-o", program.as_str(), source.as_str()],
    );
    let version = ["MAJOR", "MINOR", "PATCH"].map(|part| match part {
        "MAJOR" => env!("CARGO_PKG_VERSION_MAJOR"),
        "MINOR" => env!("CARGO_PKG_VERSION_MINOR"),
        _ => env!("CARGO_PKG_VERSION_PATCH"),
    });
    let expected = format!("{}\n{POND_ABI_VERSION}\n{POND_FOREVER}\n1\n", version.join("."));
    assert_eq!(output(&program, [""; 0]), expected);
}

#[test]
fn the_library_exports_what_the_header_declares() {
    if !has("nm", &["--version"], "the exported symbols") {
        return;
    }
    let library = shared_library().display().to_string();
    let flags = if cfg!(target_os = "macos") { "-gU" } else { "-D" };
    let defined: &[&str] = if cfg!(target_os = "macos") {
        &[]
    } else {
        &["--defined-only"]
    };
    let listing = output("nm", [flags].iter().chain(defined).chain([&library.as_str()]));
    let symbol = |line: &str| {
        let name = line.split_whitespace().last().unwrap_or_default().to_owned();
        // Mach-O puts an underscore before every name of C, a symbol version stands behind an '@'.
        let name = if cfg!(target_os = "macos") {
            name.trim_start_matches('_')
        } else {
            &name
        };
        name.split('@').next().unwrap_or_default().to_owned()
    };
    let exported: BTreeSet<String> = listing.lines().filter(|line| !line.is_empty()).map(symbol).collect();
    let is_function = |kind: &Kind| matches!(kind, Kind::Function { .. });
    let items = parse(header()).into_iter();
    let declared: BTreeSet<String> = items
        .filter(|item| is_function(&item.kind))
        .map(|item| item.name)
        .collect();
    assert!(!declared.is_empty());
    let foreign: Vec<_> = exported.iter().filter(|name| !name.starts_with("pond_")).collect();
    assert!(foreign.is_empty(), "exported beside our functions: {foreign:?}");
    let hidden: Vec<_> = declared.difference(&exported).collect();
    let undeclared: Vec<_> = exported.difference(&declared).collect();
    assert!(
        hidden.is_empty() && undeclared.is_empty(),
        "declared but not exported: {hidden:?}\nexported but not declared: {undeclared:?}"
    );
}

/// The header as those read it who know no preprocessor: its declarations, nothing included, `POND_API` empty.
fn declarations(name: &str) -> Option<(PathBuf, String)> {
    if !has("gcc", &["--version"], "the header without its preprocessor lines") {
        return None;
    }
    let folder = with_header(name);
    for stub in ["stdint.h", "stddef.h"] {
        file(&folder, stub, "");
    }
    let (include, path) = (
        folder.display().to_string(),
        folder.join("pondsocket.h").display().to_string(),
    );
    let text = output("gcc", ["-E", "-P", "-nostdinc", "-DPOND_API=", "-I", &include, &path]);
    Some((
        file(&folder, "declarations.h", &text),
        shared_library().display().to_string(),
    ))
}

/// What both loaders below print.
fn loaded() -> String {
    format!(
        "{}\nPOND_ERROR_CLOSED\n{POND_ABI_VERSION}\n-20 15 91\n",
        env!("CARGO_PKG_VERSION")
    )
}

#[test]
fn python_cffi_reads_the_header_and_calls_the_library() {
    if !has("python3", &["-c", "import cffi"], "the header in Python's cffi") {
        return;
    }
    let Some((path, library)) = declarations("cffi") else {
        return;
    };
    let script = "
import sys, cffi
ffi = cffi.FFI()
ffi.cdef(open(sys.argv[1]).read())
lib = ffi.dlopen(sys.argv[2])
print(ffi.string(lib.pond_version()).decode())
print(ffi.string(lib.pond_status_name(lib.POND_ERROR_CLOSED)).decode())
print(lib.pond_abi_version())
print(lib.POND_ERROR_CLOSED, lib.POND_CHANNEL_CLOSED, lib.POND_EVENT_WAKE)
";
    let path = path.display().to_string();
    assert_eq!(output("python3", ["-c", script, &path, &library]), loaded());
}

#[test]
fn luajit_reads_the_header_and_calls_the_library() {
    if !has("luajit", &["-v"], "the header in LuaJIT's ffi") {
        return;
    }
    let Some((path, library)) = declarations("luajit") else {
        return;
    };
    let script = "
local ffi = require('ffi')
local file = assert(io.open(arg[1]))
ffi.cdef(file:read('*a'))
local lib = ffi.load(arg[2])
print(ffi.string(lib.pond_version()))
print(ffi.string(lib.pond_status_name(lib.POND_ERROR_CLOSED)))
print(lib.pond_abi_version())
print(lib.POND_ERROR_CLOSED .. ' ' .. lib.POND_CHANNEL_CLOSED .. ' ' .. lib.POND_EVENT_WAKE)
";
    let script = file(&folder("luajit"), "load.lua", script).display().to_string();
    let path = path.display().to_string();
    assert_eq!(output("luajit", [&script, &path, &library]), loaded());
}
