use super::Endpoint;

/// URL, parameters, and what comes of them: secure, host, port, Host header, request target.
type Good = (
    &'static str,
    Option<&'static str>,
    bool,
    &'static str,
    u16,
    &'static str,
    &'static str,
);

const GOOD: &[Good] = &[
    ("ws://h", None, false, "h", 80, "h", "/"),
    ("wss://h", None, true, "h", 443, "h", "/"),
    ("http://h", None, false, "h", 80, "h", "/"),
    ("https://h/", None, true, "h", 443, "h", "/"),
    (
        "WSS://Example.COM/A",
        None,
        true,
        "example.com",
        443,
        "example.com",
        "/A",
    ),
    ("ws://h:80/", None, false, "h", 80, "h", "/"),
    ("ws://h:443/", None, false, "h", 443, "h:443", "/"),
    ("wss://h:80/", None, true, "h", 80, "h:80", "/"),
    ("wss://h:443/", None, true, "h", 443, "h", "/"),
    ("ws://h:65535/x", None, false, "h", 65535, "h:65535", "/x"),
    ("ws://h:0080/x", None, false, "h", 80, "h", "/x"),
    (
        "ws://127.0.0.1:4000/a/b",
        None,
        false,
        "127.0.0.1",
        4000,
        "127.0.0.1:4000",
        "/a/b",
    ),
    ("ws://[::1]", None, false, "::1", 80, "[::1]", "/"),
    ("ws://[::1]:4000/x", None, false, "::1", 4000, "[::1]:4000", "/x"),
    (
        "wss://[2001:DB8:0::1]/x",
        None,
        true,
        "2001:db8::1",
        443,
        "[2001:db8::1]",
        "/x",
    ),
    (
        "ws://my_host-1.local./x",
        None,
        false,
        "my_host-1.local.",
        80,
        "my_host-1.local.",
        "/x",
    ),
    (
        "ws://xn--bcher-kva.example/",
        None,
        false,
        "xn--bcher-kva.example",
        80,
        "xn--bcher-kva.example",
        "/",
    ),
    ("ws://h?a=1", None, false, "h", 80, "h", "/?a=1"),
    ("ws://h/?", None, false, "h", 80, "h", "/?"),
    ("ws://h/p?a=1#frag", None, false, "h", 80, "h", "/p?a=1"),
    ("ws://h#frag?x=/y", None, false, "h", 80, "h", "/"),
    ("ws://h/p?a=b?c/d:e@f", None, false, "h", 80, "h", "/p?a=b?c/d:e@f"),
    ("ws://h/p@q:r;s=t,u", None, false, "h", 80, "h", "/p@q:r;s=t,u"),
    ("ws://h/ü/中", None, false, "h", 80, "h", "/%C3%BC/%E4%B8%AD"),
    (
        "ws://h/a%20b%2Fc%zz%4",
        None,
        false,
        "h",
        80,
        "h",
        "/a%20b%2Fc%25zz%254",
    ),
    ("ws://h/%中", None, false, "h", 80, "h", "/%25%E4%B8%AD"),
    (
        "ws://h/a\"b<c>d\\e^f`g{h|i}",
        None,
        false,
        "h",
        80,
        "h",
        "/a%22b%3Cc%3Ed%5Ce%5Ef%60g%7Bh%7Ci%7D",
    ),
    ("ws://h/?q=%zz&r=%41+b", None, false, "h", 80, "h", "/?q=%zz&r=%41+b"),
    ("ws://h/?q=ü", None, false, "h", 80, "h", "/?q=%C3%BC"),
    ("ws://h/../a/./b//c", None, false, "h", 80, "h", "/../a/./b//c"),
    ("ws://h/x", Some("{}"), false, "h", 80, "h", "/x"),
    ("ws://h/x?", Some(r#"{"a":"1"}"#), false, "h", 80, "h", "/x?a=1"),
    ("ws://h/x", Some(r#"{"a":"1"}"#), false, "h", 80, "h", "/x?a=1"),
    ("ws://h", Some(r#"{"a":"1"}"#), false, "h", 80, "h", "/?a=1"),
    (
        "ws://h/x?z=9",
        Some(r#"{"b":"1","a":"2"}"#),
        false,
        "h",
        80,
        "h",
        "/x?z=9&b=1&a=2",
    ),
    (
        "ws://h/x?a=1&b=2",
        Some(r#"{"a":"3"}"#),
        false,
        "h",
        80,
        "h",
        "/x?b=2&a=3",
    ),
    (
        "ws://h/x?a=1&b=2&a=3",
        Some(r#"{"a":"4"}"#),
        false,
        "h",
        80,
        "h",
        "/x?b=2&a=4",
    ),
    ("ws://h/x?a=1", Some(r#"{"a":null}"#), false, "h", 80, "h", "/x"),
    (
        "ws://h/x?a=1&b=2",
        Some(r#"{"a":null,"c":null}"#),
        false,
        "h",
        80,
        "h",
        "/x?b=2",
    ),
    ("ws://h/x?a&b", Some(r#"{"a":"1"}"#), false, "h", 80, "h", "/x?b&a=1"),
    (
        "ws://h/x?%61%20b=1&a+b=2",
        Some(r#"{"a b":"3"}"#),
        false,
        "h",
        80,
        "h",
        "/x?a%20b=3",
    ),
    (
        "ws://h/x?a=1&&b=2",
        Some(r#"{"b":"3"}"#),
        false,
        "h",
        80,
        "h",
        "/x?a=1&&b=3",
    ),
    (
        "ws://h/x?ab=1",
        Some(r#"{"a":"2"}"#),
        false,
        "h",
        80,
        "h",
        "/x?ab=1&a=2",
    ),
    (
        "ws://h/x",
        Some(r#"{"a":1,"b":-2.50,"c":1e400}"#),
        false,
        "h",
        80,
        "h",
        "/x?a=1&b=-2.50&c=1e400",
    ),
    (
        "ws://h/x",
        Some(r#"{"n":123456789012345678901234567890}"#),
        false,
        "h",
        80,
        "h",
        "/x?n=123456789012345678901234567890",
    ),
    ("ws://h/x", Some(r#"{"n":1e+5}"#), false, "h", 80, "h", "/x?n=1e%2B5"),
    (
        "ws://h/x",
        Some(r#"{"t":true,"f":false}"#),
        false,
        "h",
        80,
        "h",
        "/x?t=true&f=false",
    ),
    (
        "ws://h/x",
        Some(r#"{"a": [1, "x y", null] }"#),
        false,
        "h",
        80,
        "h",
        "/x?a=%5B1%2C%22x%20y%22%2Cnull%5D",
    ),
    (
        "ws://h/x",
        Some(r#"{"a":{"k" : "\" :, "}}"#),
        false,
        "h",
        80,
        "h",
        "/x?a=%7B%22k%22%3A%22%5C%22%20%3A%2C%20%22%7D",
    ),
    (
        "ws://h/x",
        Some(r#"{"a b&c=":"d e&f=g+h%/?"}"#),
        false,
        "h",
        80,
        "h",
        "/x?a%20b%26c%3D=d%20e%26f%3Dg%2Bh%25%2F%3F",
    ),
    (
        "ws://h/x",
        Some(r#"{"u":"\u00fc中\n"}"#),
        false,
        "h",
        80,
        "h",
        "/x?u=%C3%BC%E4%B8%AD%0A",
    ),
    ("ws://h/x", Some(r#"{"s":""}"#), false, "h", 80, "h", "/x?s="),
    ("ws://h/x", Some(r#"{"a":"1","a":"2"}"#), false, "h", 80, "h", "/x?a=2"),
    (
        "ws://h/x",
        Some(r#" { "-._~" : "-._~" } "#),
        false,
        "h",
        80,
        "h",
        "/x?-._~=-._~",
    ),
];

/// Where the reasons differ for one kind of mistake.
const TOLD: &[(&str, &str)] = &[
    (r#"{"\ud800":"x"}"#, "the connection parameters are not a JSON object"),
    (r#"{"a":"\ud800"}"#, "a connection parameter is not a valid string"),
];

const BAD: &[(&str, Option<&str>)] = &[
    ("", None),
    ("h", None),
    ("h:80/x?secret", None),
    ("ftp://h/?secret", None),
    ("file:///secret", None),
    ("://h?secret", None),
    ("ws:/h?secret", None),
    ("ws:h?secret", None),
    ("secret?x://h", None),
    ("ws://", None),
    ("ws:///x?secret", None),
    ("ws://?secret", None),
    ("ws://:80/?secret", None),
    ("ws://secret@h/", None),
    ("ws://user:secret@h:80/", None),
    ("ws://h:/?secret", None),
    ("ws://h:0/?secret", None),
    ("ws://h:65536/?secret", None),
    ("ws://h:99999999999999999999/?secret", None),
    ("ws://h:+80/?secret", None),
    ("ws://h:-1/?secret", None),
    ("ws://h:8o/?secret", None),
    ("ws://h:80:80/?secret", None),
    ("ws://[::1/?secret", None),
    ("ws://[::1]x/?secret", None),
    ("ws://[::1]:/?secret", None),
    ("ws://[]/?secret", None),
    ("ws://[127.0.0.1]/?secret", None),
    ("ws://[fe80::1%25eth0]/?secret", None),
    ("ws://::1/?secret", None),
    ("ws://bücher.example/?secret", None),
    ("ws://h%41/?secret", None),
    ("ws://a..b/?secret", None),
    ("ws://.a/?secret", None),
    ("ws://h\\x/?secret", None),
    ("ws://h,h/?secret", None),
    ("ws://1.2.3/?secret", None),
    ("ws://256.1.1.1/?secret", None),
    ("ws://1.2.3.04/?secret", None),
    (" ws://h/?secret", None),
    ("ws://h/?secret ", None),
    ("ws://h/?se cret", None),
    ("ws://h/\r\nX-Injected: secret", None),
    ("ws://h/?secret\n", None),
    ("ws://h/\0secret", None),
    ("ws://h/?a=\u{85}secret", None),
    ("ws://h/?a=\u{a0}secret", None),
    ("ws://h/", Some("")),
    ("ws://h/", Some("secret")),
    ("ws://h/", Some("[\"secret\"]")),
    ("ws://h/", Some("\"secret\"")),
    ("ws://h/", Some("null")),
    ("ws://h/", Some("{\"a\":\"secret\"")),
    ("ws://h/", Some("{\"a\":\"secret\"} x")),
    ("ws://h/", Some("{\"a\":\"secret\\ud800\"}")),
    ("ws://h/", Some("{\"\\ud800\":\"secret\"}")),
    ("ws://h/", Some("{\"a\":\"secret\u{1}\"}")),
    ("ws://h/", Some("{\"a\":\"secret\",}")),
    ("ws://h/", Some("{\"a\":secret}")),
    ("ws://h/", Some("{a:\"secret\"}")),
];

#[test]
fn urls_that_are_understood() {
    for &(url, params, secure, host, port, authority, target) in GOOD {
        let endpoint = Endpoint::parse(url, params).unwrap_or_else(|error| panic!("{url} {params:?}: {error}"));
        let got = (
            endpoint.secure(),
            endpoint.host(),
            endpoint.port(),
            endpoint.authority(),
            endpoint.path_and_query(),
        );
        assert_eq!(got, (secure, host, port, authority, target), "{url} {params:?}");
    }
}

#[test]
fn urls_that_are_refused() {
    for &(url, params) in BAD {
        let error = Endpoint::parse(url, params)
            .map(|endpoint| panic!("{url} {params:?} gave {endpoint:?}"))
            .unwrap_err();
        for shown in [format!("{error}"), format!("{error:?}")] {
            assert!(!shown.contains("secret"), "{url} {params:?}: {shown}");
        }
    }
}

#[test]
fn a_host_may_be_long_but_not_endless() {
    let label = "a".repeat(63);
    let host = [&label[..], &label, &label, &label[..61]].join(".");
    assert_eq!(Endpoint::parse(&format!("ws://{host}/"), None).unwrap().host(), host);
    assert!(Endpoint::parse(&format!("ws://{label}a/"), None).is_err());
    assert!(Endpoint::parse(&format!("ws://{host}.aaa/"), None).is_err());
}

#[test]
fn half_a_surrogate_pair_is_refused_by_key_and_by_string() {
    for &(params, message) in TOLD {
        let error = Endpoint::parse("ws://h/", Some(params)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    // Within an array or object it is carried as it stands.
    let endpoint = Endpoint::parse("ws://h/", Some(r#"{"a":["\ud800"]}"#)).unwrap();
    assert_eq!(endpoint.path_and_query(), "/?a=%5B%22%5Cud800%22%5D");
}

#[test]
fn deep_parameters_are_carried_and_do_not_overflow_the_stack() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let endpoint = Endpoint::parse("ws://h/", Some(&deep)).unwrap();
    assert_eq!(endpoint.path_and_query().len(), "/?a=".len() + 200_000 * 3 + 1);
}

#[test]
fn debug_hides_the_query() {
    let endpoint = Endpoint::parse("wss://h:1/path?token=secret", Some(r#"{"key":"secret"}"#)).unwrap();
    assert_eq!(format!("{endpoint:?}"), "Endpoint(wss://h:1/path?...)");
    let request = super::DialRequest {
        endpoint,
        headers: vec![("Authorization".to_owned(), "Bearer secret".to_owned())],
        tls: None,
        max_message_in: 1,
    };
    assert!(!format!("{request:?}").contains("secret"));
}
