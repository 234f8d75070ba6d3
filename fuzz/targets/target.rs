#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| ngx_http_aws_auth_module::properties::target(data));
