use super::*;

fn put(target: Target<'_>) -> String {
    let mut buf = vec![0; target.capacity()];
    let (path, query, _) = target.put(true, |_| true, Out::new(&mut buf)).unwrap();
    let mark = if query.is_empty() { "" } else { "?" };
    String::from_utf8([path, mark.as_bytes(), query].concat()).unwrap()
}

#[test]
fn what_is_sent_is_the_canonical_target() {
    for (wire, sent) in [
        ("/a b?y=1&x", "/a%20b?x=&y=1"),
        ("/a?", "/a"),
        ("/a?&&", "/a"),
        ("/a?X-Amz-Signature=0", "/a"),
        ("/a?b?c", "/a?b%3Fc="),
        ("/a#b", "/a%23b"),
        ("", "/"),
        ("?a", "/?a="),
        ("a", "/a"),
    ] {
        assert_eq!(put(Target::encoded(wire.as_bytes())), sent, "{wire}");
    }
    assert_eq!(put(Target::decoded(b"/a?b%41", b"c=%41")), "/a%3Fb%2541?c=A");
}

#[test]
fn decoded_variables_are_known_by_what_is_around_them() {
    // the client's target, the decoded path that is left of it, the query, what proxy_pass made
    for (unparsed, uri, args, wire, sent) in [
        // rewrite /myfiles/(.*) /$1 break; proxy_pass http://host/$1;
        ("/m/a%3Fb", "/a?b", "", "/a?b", "/a%3Fb"),
        ("/m/100%2541", "/100%41", "", "/100%41", "/100%2541"),
        ("/m/100%25", "/100%", "", "/100%", "/100%25"),
        ("/m/a%3Fb%2525?v=1", "/a?b%25", "v=1", "/a?b%25", "/a%3Fb%2525"),
        ("/m/%3F", "/m/?", "", "/?", "/%3F"),
        ("/part-%3F?v", "/part-?", "v", "/?", "/%3F"),
        // the query is not to go along, and the key looks as if it did
        ("/m/a%3Facl?acl", "/m/a?acl", "acl", "/pub/a?acl", "/pub/a%3Facl"),
        ("/m/a%3Facl?acl", "/m/a?acl", "acl", "/pub/a?acl?acl", "/pub/a%3Facl?acl="),
        ("/m/a%3Facl%3Facl?acl", "/m/a?acl?acl", "acl", "/pub/a?acl?acl", "/pub/a%3Facl%3Facl"),
        ("/m/a%3Facl/pub/a?acl", "/m/a?acl/pub/a", "acl", "/pub/a?acl", "/pub/a%3Facl"),
        // proxy_pass http://host/bucket$uri$is_args$args;
        ("/m/a%3Fb?v=1", "/m/a?b", "v=1", "/bucket/m/a?b?v=1", "/bucket/m/a%3Fb?v=1"),
        ("/a%3Fb?b", "/a?b", "b", "/a?b?b", "/a%3Fb?b="),
        ("/y%3Fy?y", "/y?y", "y", "/y?y?y", "/y%3Fy?y="),
        ("/x%3Fb%3Fb?b", "/x?b?b", "b", "/x?b?b?b", "/x%3Fb%3Fb?b="),
        // proxy_pass http://host$request_uri; and captures of $request_uri
        ("/a%3Fb?v=1", "/a?b", "v=1", "/a%3Fb?v=1", "/a%3Fb?v=1"),
        ("/a%3Fa?a", "/a?a", "a", "/a%3Fa?a", "/a%3Fa?a="),
        ("/x/a%3F/a?/a", "/x/a?/a", "/a", "/x/a%3F/a?/a", "/x/a%3F/a?%2Fa="),
        ("/m/%2525", "/m/%25", "", "/%2525", "/%2525"),
        ("/m/%2541", "/m/%41", "", "/%2541", "/%2541"),
        ("/a%3F?", "/a?", "", "/a%3F?", "/a%3F"),
        ("/x/a%2541%3F?b=%41", "/x/a%41?", "b=%41", "/pre/a%2541%3F?b=%41", "/pre/a%2541%3F?b=A"),
        // proxy_pass http://host$aws_uri;
        ("/x//[%25%63%2f%4a?b", "/x/[%c/J", "b", "/x//%5B%25c%2FJ?b=", "/x//%5B%25c/J?b="),
        ("/x/%253F%3F", "/x/%3F?", "", "/pre/x/%253F%3F", "/pre/x/%253F%3F"),
        // captures with something behind them
        ("/raw/a%3Facl/download", "/raw/a?acl/download", "", "/pub/a?acl", "/pub/a%3Facl"),
        (
            "/raw/%3Flist-type=2%26prefix=secret/download",
            "/raw/?list-type=2&prefix=secret/download",
            "",
            "/pub/?list-type=2&prefix=secret",
            "/pub/%3Flist-type%3D2%26prefix%3Dsecret",
        ),
        ("/raw/100%2541/download", "/raw/100%41/download", "", "/pub/100%41", "/pub/100%2541"),
        ("/idx/%3Fx=", "/idx/?x=", "", "/idx/?x=index.html", "/idx/%3Fx%3Dindex.html"),
        ("/part-%3F", "/part-?", "", "/?.html", "/%3F.html"),
        ("/idx/%3Fc/?c=1", "/idx/?c/", "c=1", "/idx/?c/i?c=1", "/idx/%3Fc/i?c=1"),
        ("/one/a%3Facl/two/%25x?acl", "/one/a?acl/two/%x", "acl", "/%x/a?acl", "/%25x/a%3Facl"),
        ("/m/a%3Fb", "/m/a?b", "", "/a?b/thumb?size=1", "/a%3Fb/thumb?size=1"),
        // "?" of the operator's
        ("/q/a%3Fb", "/q/a?b", "", "/?list-type=2&prefix=a?b", "/?list-type=2&prefix=a%3Fb"),
        // nothing ambiguous
        ("/m/a%20b", "/m/a b", "", "/a b", "/a%20b"),
        ("/m/a", "/m/a", "", "/a?list-type=2", "/a?list-type=2"),
        // something else altogether
        ("/m/a%3Fb", "/m/a?b", "", "/index.html", "/index.html"),
        ("/m/%2541", "/m/%41", "", "/a%20b", "/a%20b"),
        ("/m/%2541", "/m/%41", "", "/a%20b/%41", "/a%20b/%2541"),
    ] {
        let origin = Origin {
            uri: uri.as_bytes(),
            args: args.as_bytes(),
            unparsed: Some(unparsed.as_bytes()),
        };
        assert_eq!(put(Target::pasted(wire.as_bytes(), origin)), sent, "{unparsed} as {wire}");
    }
}

#[test]
fn a_redirected_request_is_not_judged_by_what_the_client_sent() {
    // X-Accel-Redirect: /target/100%2541, and /target/a%3Fb
    for (uri, wire, sent) in [
        ("/target/100%41", "/100%41", "/100%2541"),
        ("/target/100%41", "/pre/100%41", "/pre/100%2541"),
        ("/target/a?b", "/a?b", "/a%3Fb"),
        // proxy_pass http://$backend; where nginx escapes
        ("/target/100%41", "/target/100%2541", "/target/100%2541"),
        ("/target/a?b c", "/target/a%3Fb%20c", "/target/a%3Fb%20c"),
    ] {
        let origin = Origin { uri: uri.as_bytes(), args: b"", unparsed: None };
        assert_eq!(put(Target::pasted(wire.as_bytes(), origin)), sent, "{uri} as {wire}");
    }
}

#[test]
fn a_bucket_may_lead_the_path() {
    for (wire, sent) in [
        ("/a%20b?x", "/bucket/a%20b?x="),
        ("/", "/bucket/"),
        ("/?list-type=2", "/bucket/?list-type=2"),
        ("", "/bucket/"),
        ("?x", "/bucket/?x="),
        ("//a", "/bucket//a"),
        ("a", "/bucket/a"),
    ] {
        let target = Target::encoded(wire.as_bytes()).led_by(b"/bucket");
        assert_eq!(put(target), sent, "{wire}");
    }
}
