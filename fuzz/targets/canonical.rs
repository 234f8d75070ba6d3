//! Paths and queries of any bytes, and signatures over them beside those of the AWS SDK.
#![no_main]

#[path = "../../tests/oracle/properties.rs"]
mod properties;

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode;
use properties::{Identity, Request, canonical_query};

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(4, |byte| *byte == 0xff);
    let mut next = || parts.next().unwrap_or_default();
    let (path, query, value, body) = (next(), next(), next(), next());
    let path = [b"/", path].concat();
    properties::path(&path);
    properties::query(query);

    // the SDK knows queries and values that are text, and names in lower case
    let text = percent_decode(&canonical_query(query)).decode_utf8().is_ok();
    let value = value.iter().copied().filter(|byte| (b' '..=b'~').contains(byte)).collect();
    let value = String::from_utf8(value).unwrap();
    if text {
        let request = Request {
            s3: body.len() % 2 == 0,
            method: "PUT",
            host: "localhost:9000",
            path,
            query: query.to_vec(),
            headers: vec![("x-amz-meta-a".to_owned(), value)],
            body: body.to_vec(),
            token: None,
        };
        let identity = Identity {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret: "secret".to_owned(),
            region: "us-east-1".to_owned(),
            service: if request.s3 { "s3" } else { "execute-api" }.to_owned(),
            seconds: 1_440_938_160,
        };
        properties::signatures(&request, &identity);
    }
});
