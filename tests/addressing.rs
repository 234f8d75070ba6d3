//! Where the bucket is named: in front of the host, or in front of the path.

mod support;

use support::{ACCESS_KEY, Credentials, Nginx, S3Server, SECRET_KEY, Verifier};

#[test]
fn the_bucket_leads_the_path() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        aws_endpoint minio.test:9000;
        aws_s3_addressing path;
        upstream up {{ server {s3}; }}
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            location / {{ proxy_pass http://up; }}
            location /uri/ {{ proxy_pass http://up/; }}
            location ~ ^/captured/(.*)$ {{ proxy_pass http://up/$1$is_args$args; }}
            location /other/ {{ aws_s3_bucket other; proxy_pass http://up; }}
            location /virtual/ {{ aws_s3_addressing virtual; proxy_pass http://up; }}
            location /signed-uri/ {{ proxy_pass http://up$aws_uri; }}
            location /by-hand/ {{
                aws_sign off;
                proxy_pass http://up$aws_uri;
                proxy_set_header Host $aws_host;
                proxy_set_header X-Amz-Date $aws_date;
                proxy_set_header X-Amz-Content-Sha256 $aws_content_sha256;
                proxy_set_header Authorization $aws_authorization;
            }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
    ));
    for (target, host, sent) in [
        ("/a%20b+c?x", "minio.test:9000", "/bucket/a%20b%2Bc?x="),
        ("/", "minio.test:9000", "/bucket/"),
        ("/?list-type=2", "minio.test:9000", "/bucket/?list-type=2"),
        ("//a/../b", "minio.test:9000", "/bucket//a/../b"),
        ("/uri/a%3Fb", "minio.test:9000", "/bucket/a%3Fb"),
        ("/captured/a%3Fb%25?c=d", "minio.test:9000", "/bucket/a%3Fb%25?c=d"),
        ("/other/x", "minio.test:9000", "/other/other/x"),
        ("/virtual/x", "bucket.minio.test:9000", "/virtual/x"),
        ("/signed-uri/x", "minio.test:9000", "/bucket/signed-uri/x"),
        ("/by-hand/x?y", "minio.test:9000", "/bucket/by-hand/x?y="),
    ] {
        let response = support::get(nginx.addr(), target);
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        let received = s3.take();
        assert_eq!((&received[0].verdict, &received[0].host[..]), (&Ok(()), host), "{target}");
        assert_eq!(String::from_utf8_lossy(&received[0].target), sent);
    }
}

#[test]
fn a_server_takes_either() {
    let objects: &[(&str, &[u8])] = &[("a b", b"one"), ("d//e", b"two")];
    let s3 = S3Server::start_in_memory(ACCESS_KEY, SECRET_KEY, "s3.test", &[("bucket", objects)]);
    let nginx = Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        aws_endpoint s3.test;
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            location /path/ {{ aws_s3_addressing path; proxy_pass http://{s3}/; }}
            location /virtual/ {{ aws_s3_addressing virtual; proxy_pass http://{s3}/; }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
    ));
    for prefix in ["/path/", "/virtual/"] {
        assert_eq!(support::get(nginx.addr(), format!("{prefix}a%20b")).text(), "one");
        let list = support::get(nginx.addr(), format!("{prefix}?list-type=2")).text();
        assert!(list.contains("<Key>d//e</Key>"), "{list}");
    }
}

#[test]
fn what_is_no_style_is_refused() {
    for bad in ["''", "Path", "host"] {
        let (good, stderr) = Nginx::builder().http(&format!("aws_s3_addressing {bad};")).test();
        let line = format!(
            "invalid value \"{}\" in \"aws_s3_addressing\" directive, it must be \"virtual\" or \"path\" in ",
            bad.trim_matches('\'')
        );
        assert!(!good && stderr.contains(&line), "{stderr}");
    }
}
