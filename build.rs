//! Passes on what `nginx-sys` found out about the nginx that the module is built for.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // without regular expressions, requests have no captures
    println!("cargo::rustc-check-cfg=cfg(nginx_pcre)");
    println!("cargo::rerun-if-env-changed=DEP_NGINX_FEATURES");
    let features = std::env::var("DEP_NGINX_FEATURES").unwrap_or_default();
    if features.split(',').any(|feature| feature == "pcre") {
        println!("cargo::rustc-cfg=nginx_pcre");
    }
    // a module leaves nginx's symbols to the nginx that loads it; Linux linkers allow that unasked
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("macos") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-undefined,dynamic_lookup");
    }
}
