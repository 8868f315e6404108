//! Linker settings of the shared library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The linker that the Makefile names; a change of it must link again.
    println!("cargo:rerun-if-changed=packaging/versioned-cc");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if matches!(os.as_str(), "linux" | "android" | "freebsd") {
        // A forgotten pond_shutdown before dlclose must be harmless: the code of our threads stays mapped.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
