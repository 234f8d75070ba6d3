//! Passes on what `nginx-sys` found out about the nginx that the module is built for.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // a module leaves nginx's symbols to the nginx that loads it; Linux linkers allow that unasked
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("macos") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-undefined,dynamic_lookup");
    }
}
