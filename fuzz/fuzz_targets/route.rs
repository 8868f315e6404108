//! Event patterns and names, a line break between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pondsocket::protocol::Pattern;

fuzz_target!(|input: &str| {
    let (pattern, name) = input.split_once('\n').unwrap_or((input, input));
    let Ok(parsed) = Pattern::new(pattern) else {
        return;
    };
    assert_eq!(parsed.as_str(), pattern);
    if let Some(route) = parsed.matches(name) {
        assert!(route.params.len() <= pattern.len(), "no parameter comes from nowhere");
        assert!(route.query.len() <= name.len());
    }
    // A plain pattern is the name itself.
    if parsed.is_plain() && !pattern.contains(['?', '%']) {
        assert!(parsed.matches(pattern).is_some());
    }
});
