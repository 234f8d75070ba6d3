//! The examples that AWS publishes, each through all three stages: canonical request, string to
//! sign, signature.

use ngx_http_aws_auth_module::sigv4::uri::{self, encode_path, encode_query, normalize_path};
use ngx_http_aws_auth_module::sigv4::{
    AmzDate, CanonicalRequest, Headers, Out, PayloadHash, Scope, SigningKey,
};

/// The SHA-256 of no body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The secret access key of the signing test suite; the one of the S3 examples differs in a `/`.
const SUITE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const S3_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// When, and for what, an example is signed.
struct Signer {
    key: SigningKey,
    scope: &'static str,
    date: &'static str,
}

impl Signer {
    fn new(secret: &str, scope: &'static str, date: &'static str) -> Self {
        let key = SigningKey::derive(secret, &Scope::parse(scope.as_bytes()).unwrap());
        Signer { key, scope, date }
    }

    fn suite() -> Self {
        Signer::new(SUITE_SECRET, "20150830/us-east-1/service/aws4_request", "20150830T123600Z")
    }

    /// Checks the stages of one request against what is published of them.
    fn check(&self, request: &Request<'_>, canonical: &str, hash: &str, signature: Option<&str>) {
        let mut headers = Headers::new();
        for (name, value) in request.headers {
            headers.insert(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let query = written(uri::query_len(request.query.as_bytes()), |out| {
            encode_query(request.query.as_bytes(), out).unwrap();
        });
        let request = CanonicalRequest {
            method: request.method.as_bytes(),
            path: request.path.as_bytes(),
            query: query.as_bytes(),
            headers: &headers,
            payload: PayloadHash::of(request.body),
        };
        let mut text = Vec::new();
        request.write_to(&mut text);
        assert_eq!(String::from_utf8(text).unwrap(), canonical);

        let scope = Scope::parse(self.scope.as_bytes()).unwrap();
        let to_sign = request.string_to_sign(AmzDate::parse(self.date.as_bytes()).unwrap(), &scope);
        let mut text = Vec::new();
        to_sign.write_to(&mut text);
        let expected = format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", self.date, self.scope);
        assert_eq!(String::from_utf8(text).unwrap(), expected, "{canonical}");

        if let Some(signature) = signature {
            assert_eq!(to_sign.sign(&self.key).to_string(), signature, "{canonical}");
        }
    }
}

/// A request as the example has it, but for its path, which is canonical already.
struct Request<'a> {
    method: &'a str,
    path: String,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

/// What most requests of the suite have.
const HOST: (&str, &str) = ("Host", "example.amazonaws.com");
const DATE: (&str, &str) = ("X-Amz-Date", "20150830T123600Z");

fn written(capacity: usize, write: impl FnOnce(&mut Out<'_>)) -> String {
    let mut buf = vec![0; capacity];
    let mut out = Out::new(&mut buf);
    write(&mut out);
    String::from_utf8(out.written().to_vec()).unwrap()
}

/// What is sent, which for S3 is also what is signed.
fn encoded(raw: &str) -> String {
    written(uri::encoded_len(raw.as_bytes()), |out| encode_path(raw.as_bytes(), out))
}

/// What services other than S3 make of a path that is sent.
fn normalized(sent: &str) -> String {
    written(uri::normalized_len(sent.as_bytes()), |out| normalize_path(sent.as_bytes(), out))
}

fn check_suite_path(path: String, canonical: &str, hash: &str, signature: &str) {
    let request = Request { method: "GET", path, query: "", headers: &[DATE, HOST], body: b"" };
    let canonical = format!(
        "GET\n{canonical}\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\n\
         host;x-amz-date\n{EMPTY}"
    );
    Signer::suite().check(&request, &canonical, hash, Some(signature));
}

/// The suite's paths: the example's name, the raw path, the canonical one, the hash of the
/// canonical request, the signature.
const PATHS: &str = "
    get-vanilla / /
        bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63
        5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31
    get-slash-normalized // /
        bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63
        5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31
    get-slash-dot-slash-normalized /./ /
        bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63
        5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31
    get-relative-normalized /example/.. /
        bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63
        5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31
    get-relative-relative-normalized /example1/example2/../.. /
        bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63
        5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31
    get-slashes-normalized //example// /example/
        cb96b4ac96d501f7c5c15bc6d67b3035061cfced4af6585ad927f7e6c985c015
        9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84
    get-slash-pointless-dot-normalized /./example /example
        214d50c111a8edc4819da6a636336472c916b5240f51e9a51b5c3305180cf702
        ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5
    get-slash-unnormalized // //
        80cb39203d058af815de2b79250ff56e1b73eb9b4718c86556cdc6f150c5d209
        c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e
    get-slashes-unnormalized //example// //example//
        528ec3105ee1f34ab014bb0a1a45da0ed2742a4fea3555149e5b4d5d201eb240
        87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5
    get-slash-dot-slash-unnormalized /./ /./
        d67825e2268bd77a97c7688b8d72c31a3c1855b309808505ba0a9747d2465aa7
        68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145
    get-slash-pointless-dot-unnormalized /./example /./example
        73895e0e829507e28e39fd24669aedc2434a8e179e547e3c075b42921f952cdb
        beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff
    get-relative-unnormalized /example/.. /example/..
        0511f456aa502b456d135fcb9d749374a55228f9dbeedda1eacf659e05b0615b
        eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282
    get-relative-relative-unnormalized /example1/example2/../.. /example1/example2/../..
        76115030c0f3ff06c20fdff5ceb6d5e0b835a1743e00b94fea7c7f381269437b
        dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b
";

#[test]
fn suite_paths() {
    let words: Vec<&str> = PATHS.split_whitespace().collect();
    let (cases, []) = words.as_chunks::<5>() else { panic!("not five words each") };
    for [name, raw, canonical, hash, signature] in cases {
        let sent = encoded(raw);
        let path = if name.ends_with("-unnormalized") { sent } else { normalized(&sent) };
        check_suite_path(path, canonical, hash, signature);
    }
}

#[test]
fn suite_paths_that_are_sent_unencoded() {
    const UNRESERVED: &str = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // get-space, get-utf8 and get-unreserved encode once what is on the wire: so does encode_path
    // for S3, and so does normalize_path for a path that was not encoded before it was sent
    for (raw, canonical, hash, signature) in [
        (
            "/example space/",
            "/example%20space/",
            "63ee75631ed7234ae61b5f736dfc7754cdccfedbff4b5128a915706ee9390d86",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            "/ሴ",
            "/%E1%88%B4",
            "2a0a97d02205e45ce2e994789806b19270cfbbb0921b278ccf58f5249ac42102",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            UNRESERVED,
            UNRESERVED,
            "6a968768eefaa713e2a6b16b589a8ea192661f098f37349f4e2c0082757446f9",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
    ] {
        check_suite_path(encoded(raw), canonical, hash, signature);
        check_suite_path(encoded(canonical), canonical, hash, signature);
        check_suite_path(normalized(raw), canonical, hash, signature);
    }
}

#[test]
fn suite_double_encoding() {
    // double-encode-path and double-url-encode of the AWS SDK for Rust; no signature is published
    let sent = "/test/@connections/JBDvjfGEIAMCERw%3D";
    assert_eq!(normalized(sent), "/test/%40connections/JBDvjfGEIAMCERw%253D");

    let raw = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction\
               %3Amy-rusty-fun/invocations";
    Signer::new(SUITE_SECRET, "20210511/us-east-2/lambda/aws4_request", "20210511T154045Z").check(
        &Request {
            method: "POST",
            path: normalized(&encoded(raw)),
            query: "",
            headers: &[
                ("Host", "lambda.us-east-2.amazonaws.com"),
                ("X-Amz-Date", "20210511T154045Z"),
            ],
            body: b"",
        },
        &format!(
            "POST\n/2015-03-31/functions/arn%253Aaws%253Alambda%253Aus-west-2%253A892717189312\
             %253Afunction%253Amy-rusty-fun/invocations\n\nhost:lambda.us-east-2.amazonaws.com\n\
             x-amz-date:20210511T154045Z\n\nhost;x-amz-date\n{EMPTY}"
        ),
        "684dbb3c92a8b6b1e452e23e523c1ea941c713a4c13500bb9f3bdad1e19afaf7",
        None,
    );
}

/// The suite's queries: the example's name, the method, the raw query, the canonical one, the hash
/// of the canonical request, the signature.
const QUERIES: &str = "
    get-vanilla-empty-query-key GET Param1=value1 Param1=value1
        1e24db194ed7d0eec2de28d7369675a243488e08526e8c1c73571282f7c517ab
        a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb
    get-vanilla-query-order-key GET Param1=value2&Param1=Value1 Param1=Value1&Param1=value2
        704b4cef673542d84cdff252633f065e8daeba5f168b77116f8b1bcaf3d38f89
        eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1
    get-vanilla-query-order-key-case GET Param2=value2&Param1=value1 Param1=value1&Param2=value2
        816cd5b414d056048ba4f7c5386d6e0533120fb1fcfa93762cf0fc39e2cf19e0
        b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500
    get-vanilla-query-order-value GET Param1=value2&Param1=value1 Param1=value1&Param1=value2
        c968629d70850097a2d8781c9bf7edcb988b04cac14cca9be4acc3595f884606
        5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694
    get-vanilla-query-order-encoded GET Param-3=Value3&Param=Value2&%E1%88%B4=Value1
        %E1%88%B4=Value1&Param=Value2&Param-3=Value3
        868294f5c38bd141c4972a373a76654f1418a8e4fc18b2e7903ae45e8ae0ec71
        371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac
    get-vanilla-query-unreserved GET -._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz
        -._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz
        c30d4703d9f799439be92736156d47ccfb2d879ddf56f5befa6d1d6aab979177
        9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197
    get-vanilla-utf8-query GET ሴ=bar %E1%88%B4=bar
        eb30c5bed55734080471a834cc727ae56beb50e5f39d1bff6d0d38cb192a7073
        2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04
    post-vanilla-query POST Param1=value1 Param1=value1
        9d659678c1756bb3113e2ce898845a0a79dbbc57b740555917687f1b3340fbbd
        28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11
    post-vanilla-empty-query-value POST Param1=value1 Param1=value1
        9d659678c1756bb3113e2ce898845a0a79dbbc57b740555917687f1b3340fbbd
        28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11
";

#[test]
fn suite_queries() {
    let words: Vec<&str> = QUERIES.split_whitespace().collect();
    let (cases, []) = words.as_chunks::<6>() else { panic!("not six words each") };
    for [_, method, query, canonical, hash, signature] in cases {
        let headers = &[HOST, DATE];
        let request = Request { method, path: encoded("/"), query, headers, body: b"" };
        let canonical = format!(
            "{method}\n/\n{canonical}\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\n\
             host;x-amz-date\n{EMPTY}"
        );
        Signer::suite().check(&request, &canonical, hash, Some(signature));
    }
}

/// The suite's headers: the example's name and the method, the headers that it has beyond host and
/// date (`>`), what is canonical of them (`=`), the body (`|`), the hash of the canonical request,
/// the signature.
const HEADERS: &str = "\
get-header-key-duplicate GET
> My-Header1:value2
> My-Header1:value2
> My-Header1:value1
= my-header1:value2,value2,value1
dc7f04a3abfde8d472b0ab1a418b741b7c67174dad1551b4117b15527fbe966c
c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea

get-header-value-order GET
> My-Header1:value4
> my-header1:value1
> MY-HEADER1:value3
> My-Header1:value2
= my-header1:value4,value1,value3,value2
31ce73cd3f3d9f66977ad3dd957dc47af14df92fcd8509f59b349e9137c58b86
08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01

get-header-value-trim GET
> My-Header2: \"a   b   c\"
> My-Header1: value1
= my-header1:value1
= my-header2:\"a b c\"
a726db9b0df21c14f559d0a978e563112acb1b9e05476f0a6a1c7d68f28605c7
acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736

get-header-value-multiline-unfolded GET
> My-Header1:value1   value2      value3
= my-header1:value1 value2 value3
e99419459a677bc11de234014be3c4e72c1ea5b454ceb58b613061f5d7a162e8
cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd

post-header-key-sort POST
> My-Header1:value1
= my-header1:value1
9368318c2967cf6de74404b30c65a91e8f6253e0a8659d6d5319f1a812f87d65
c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c

post-header-value-case POST
> My-Header1:VALUE1
= my-header1:VALUE1
d51ced243e649e3de6ef63afbbdcbca03131a21a7103a1583706a64618606a93
cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d

post-vanilla POST
553f88c9e4d10fc9e109e2aeb65f030801b70c2f6468faca261d401ae622fc87
5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b

post-sts-header-before POST
> X-Amz-Security-Token:TOKEN
= x-amz-security-token:TOKEN
c237e1b440d4c63c32ca95b5b99481081cb7b13c7e40434868e71567c1a882f6
85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead

post-x-www-form-urlencoded POST
> Content-Type:application/x-www-form-urlencoded
> Content-Length:13
> X-Amz-Content-Sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e
= content-length:13
= content-type:application/x-www-form-urlencoded
= x-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e
| Param1=value1
b1edd1d03544c25390e32085d55b57acc9a3961bb59415ff86c45c3d89d16cfb
d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b

post-x-www-form-urlencoded-parameters POST
> Content-Type:application/x-www-form-urlencoded; charset=utf-8
> Content-Length:13
> X-Amz-Content-Sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e
= content-length:13
= content-type:application/x-www-form-urlencoded; charset=utf-8
= x-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e
| Param1=value1
a89f1a5b53e37702ee6363ce1da3ce8f54386f3c8f352ae652153c2982a0bc4d
328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422";

/// The session token of post-sts-header-before.
const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBu\
    FqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsbu\
    rEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZb\
    qBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

#[test]
fn suite_headers() {
    let table = HEADERS.replace("TOKEN", TOKEN);
    for example in table.split("\n\n") {
        let (first, rest) = example.split_once('\n').unwrap();
        let (_, method) = first.split_once(' ').unwrap();
        let marked = |mark| rest.lines().filter_map(move |line: &str| line.strip_prefix(mark));
        let mut headers: Vec<(&str, &str)> =
            marked("> ").map(|header| header.split_once(':').unwrap()).collect();
        headers.extend([DATE, HOST]);
        let mut lines: Vec<&str> = marked("= ").collect();
        lines.extend(["host:example.amazonaws.com", "x-amz-date:20150830T123600Z"]);
        lines.sort_unstable();
        let names: Vec<&str> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
        let payload = marked("= x-amz-content-sha256:").next().unwrap_or(EMPTY);
        let canonical =
            format!("{method}\n/\n\n{}\n\n{}\n{payload}", lines.join("\n"), names.join(";"));

        let body = marked("| ").next().unwrap_or_default().as_bytes();
        let request = Request { method, path: encoded("/"), query: "", headers: &headers, body };
        let mut last = rest.lines().rev();
        let (signature, hash) = (last.next(), last.next().unwrap());
        Signer::suite().check(&request, &canonical, hash, signature);
    }
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
#[test]
fn s3_examples() {
    const WELCOME: &str = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    const HOST: (&str, &str) = ("Host", "examplebucket.s3.amazonaws.com");
    const DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");
    const SHA256: (&str, &str) = ("x-amz-content-sha256", EMPTY);
    let signer = Signer::new(S3_SECRET, "20130524/us-east-1/s3/aws4_request", "20130524T000000Z");
    let get = |path, query, headers| Request {
        method: "GET",
        path: encoded(path),
        query,
        headers,
        body: b"",
    };
    let plain = format!(
        "host:examplebucket.s3.amazonaws.com\nx-amz-content-sha256:{EMPTY}\n\
         x-amz-date:20130524T000000Z\n\nhost;x-amz-content-sha256;x-amz-date\n{EMPTY}"
    );

    // GET Object
    signer.check(
        &get("/test.txt", "", &[HOST, ("Range", "bytes=0-9"), SHA256, DATE]),
        &format!(
            "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n\
             x-amz-content-sha256:{EMPTY}\nx-amz-date:20130524T000000Z\n\n\
             host;range;x-amz-content-sha256;x-amz-date\n{EMPTY}"
        ),
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
        Some("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    );
    // PUT Object
    signer.check(
        &Request {
            method: "PUT",
            path: encoded("/test$file.text"),
            query: "",
            headers: &[
                HOST,
                ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                DATE,
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ("x-amz-content-sha256", WELCOME),
            ],
            body: b"Welcome to Amazon S3.",
        },
        &format!(
            "PUT\n/test%24file.text\n\ndate:Fri, 24 May 2013 00:00:00 GMT\n\
             host:examplebucket.s3.amazonaws.com\nx-amz-content-sha256:{WELCOME}\n\
             x-amz-date:20130524T000000Z\nx-amz-storage-class:REDUCED_REDUNDANCY\n\n\
             date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class\n{WELCOME}"
        ),
        "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
        Some("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    );
    // GET Bucket Lifecycle
    signer.check(
        &get("/", "lifecycle", &[HOST, DATE, SHA256]),
        &format!("GET\n/\nlifecycle=\n{plain}"),
        "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
        Some("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    );
    // Get Bucket (List Objects), with its parameters the other way round
    signer.check(
        &get("/", "prefix=J&max-keys=2", &[HOST, DATE, SHA256]),
        &format!("GET\n/\nmax-keys=2&prefix=J\n{plain}"),
        "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
        Some("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    );
}

#[test]
fn keys_of_the_documentation() {
    // this module's own example, with the key as it stands in a configuration; derived keys and
    // published ones sign alike
    const DAY: &str = "20150830/us-east-1/service/aws4_request";
    let published = |base64: &str, scope, date| Signer {
        key: SigningKey::from_base64(base64.as_bytes()).unwrap(),
        ..Signer::new(SUITE_SECRET, scope, date)
    };
    let request = Request {
        method: "GET",
        path: normalized(&encoded("/")),
        query: "",
        headers: &[
            ("Host", "example.s3.amazonaws.com"),
            ("X-Amz-Content-Sha256", EMPTY),
            ("X-Amz-Date", "20150830T123600Z"),
        ],
        body: b"",
    };
    let canonical = format!(
        "GET\n/\n\nhost:example.s3.amazonaws.com\nx-amz-content-sha256:{EMPTY}\n\
         x-amz-date:20150830T123600Z\n\nhost;x-amz-content-sha256;x-amz-date\n{EMPTY}"
    );
    let hash = "80abb64809f53bdefe9ea769af79d9f31e91ba40535669dd39c4a657f2cc7ed1";
    for signer in [
        published("k4EntTNoEN22pdavRF/KyeNx+e1BjtOGsCKu2CkBvnU=", DAY, "20150830T123600Z"),
        Signer::new(SUITE_SECRET, DAY, "20150830T123600Z"),
    ] {
        let signature = "4ed4ec875ff02e55c7903339f4f24f8780b986a9cc9eff03f324d31da6a57690";
        signer.check(&request, &canonical, hash, Some(signature));
    }

    // a signature made with the key of 2016 is this one, whichever way the key was come by
    const LATER: &str = "20160902/us-east-1/s3/aws4_request";
    for signer in [
        published("L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4=", LATER, "20150830T123600Z"),
        Signer::new(SUITE_SECRET, LATER, "20150830T123600Z"),
    ] {
        let signature = "3eb8b6acae1062fd83700681f120110ca39e745d35d96a76a77ee421db81dc41";
        signer.check(&request, &canonical, hash, Some(signature));
    }
}
