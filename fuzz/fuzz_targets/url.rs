//! URL and params: what is accepted makes one clean request line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pondsocket::client::net::Endpoint;

fuzz_target!(|input: &str| {
    let (url, params) = match input.split_once('\n') {
        Some((url, params)) => (url, Some(params)),
        None => (input, None),
    };
    match Endpoint::parse(url, params) {
        Ok(endpoint) => {
            let target = endpoint.path_and_query();
            assert!(target.starts_with('/'));
            for text in [target, endpoint.authority()] {
                assert!(text.bytes().all(|byte| (0x21..0x7f).contains(&byte)), "white space or control characters: {text:?}");
            }
            assert!(!endpoint.host().is_empty() && endpoint.port() > 0);
            // Written and read again it is the same place.
            let scheme = if endpoint.secure() { "wss" } else { "ws" };
            let again = format!("{scheme}://{}{target}", endpoint.authority());
            assert_eq!(Endpoint::parse(&again, None).as_ref(), Ok(&endpoint), "{again}");
            let (path, query) = match target.split_once('?') {
                Some((path, _)) => (path, "?..."),
                None => (target, ""),
            };
            let shown = format!("Endpoint({scheme}://{}{path}{query})", endpoint.authority());
            assert_eq!(format!("{endpoint:?}"), shown, "the query is never shown");
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
});
