//! The address of a server: URL parsing and connection parameters.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::protocol::scan::{self, Limits, Members};

/// Why a URL or its parameters were refused. The text never contains the query, the parameters or a user name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(&'static str);

/// Where to dial: host, port, TLS or not, and the request target.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    secure: bool,
    host: String,
    port: u16,
    path_and_query: String,
    authority: String,
}

impl fmt::Debug for Endpoint {
    // The query carries credentials, so it is never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = match self.path_and_query.split_once('?') {
            Some((path, _)) => (path, "?..."),
            None => (self.path_and_query.as_str(), ""),
        };
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "Endpoint({scheme}://{}{path}{query})", self.authority)
    }
}

impl Endpoint {
    /// Reads a `ws`, `wss`, `http` or `https` URL and merges `params`, the text of a JSON object, into its query.
    ///
    /// A parameter replaces every pair of the URL's own query that has the same key; the own query comes first. Strings go in
    /// as they are, numbers and booleans as their JSON text (digits are never rounded), arrays and objects as compact
    /// JSON text; `null` removes the key.
    pub fn parse(url: &str, params: Option<&str>) -> Result<Endpoint, UrlError> {
        if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse("the URL contains white space or control characters");
        }
        let url = url.split_once('#').map_or(url, |(before, _)| before);
        // By one character: a search for text is much code.
        let parts = url
            .split_once(':')
            .map(|(scheme, rest)| (scheme, rest.strip_prefix("//")));
        let Some((scheme, Some(rest))) = parts else {
            return refuse("the URL needs a scheme: ws, wss, http or https, then ://");
        };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return refuse("the scheme of the URL is none of ws, wss, http, https"),
        };
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = parse_authority(authority, if secure { 443 } else { 80 })?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let mut path_and_query = String::with_capacity(target.len() + 1);
        if path.is_empty() {
            path_and_query.push('/');
        }
        encode_path(path, &mut path_and_query);
        if let Some(query) = merge_query(query, params)? {
            path_and_query.push('?');
            path_and_query.push_str(&query);
        }
        let shown = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let default_port = if secure { 443 } else { 80 };
        let authority = if port == default_port {
            shown
        } else {
            format!("{shown}:{port}")
        };
        Ok(Endpoint {
            secure,
            host,
            port,
            path_and_query,
            authority,
        })
    }

    /// Whether TLS is spoken.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The host name in lower case, or the address; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, given or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The request target: a path that starts with `/`, and the query if there is one. It carries secrets.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// The value of the Host header: the port only when it is not the scheme's own, IPv6 in brackets.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

fn refuse<T>(message: &'static str) -> Result<T, UrlError> {
    Err(UrlError(message))
}

fn parse_authority(authority: &str, default_port: u16) -> Result<(String, u16), UrlError> {
    if authority.contains('@') {
        return refuse("the URL must not contain a user name or password");
    }
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let Some((address, port)) = bracketed.split_once(']') else {
            return refuse("the IPv6 address of the URL lacks its closing bracket");
        };
        let Ok(address) = address.parse::<Ipv6Addr>() else {
            return refuse("the brackets of the URL do not hold an IPv6 address");
        };
        match port {
            "" => (address.to_string(), None),
            _ => match port.strip_prefix(':') {
                Some(port) => (address.to_string(), Some(port)),
                None => return refuse("only a port may follow the IPv6 address of the URL"),
            },
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        (check_host(host)?, port)
    };
    let port = match port {
        None => default_port,
        Some(digits) => parse_port(digits)?,
    };
    Ok((host, port))
}

fn check_host(host: &str) -> Result<String, UrlError> {
    if host.is_empty() {
        return refuse("the URL has no host");
    }
    if !host.is_ascii() {
        return refuse("the host of the URL is not ASCII: write internationalised names in their xn-- form");
    }
    if !host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    {
        return refuse("the host of the URL contains a character that no host name has");
    }
    let labels = host.strip_suffix('.').unwrap_or(host);
    if host.len() > 254 || labels.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return refuse("the host of the URL is not a host name");
    }
    // A name whose last label is a number is an IPv4 address; resolvers read the short and octal spellings differently.
    let last = labels.rsplit('.').next().unwrap_or(labels);
    if last.bytes().all(|b| b.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() {
        return refuse("the host of the URL is not a valid IPv4 address");
    }
    Ok(host.to_ascii_lowercase())
}

fn parse_port(digits: &str) -> Result<u16, UrlError> {
    // `parse` alone would take a leading plus sign.
    let digits_only = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if digits_only && port != 0 => Ok(port),
        _ => refuse("the port of the URL is not a number from 1 to 65535"),
    }
}

fn push_escaped(byte: u8, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Escapes what a path may not hold; escapes that are there stay, a lone percent sign becomes one.
fn encode_path(path: &str, out: &mut String) {
    let bytes = path.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let legal = match byte {
            b'%' => bytes
                .get(at + 1..at + 3)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
            _ => {
                is_unreserved(byte)
                    || matches!(byte, b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')')
                    || matches!(byte, b'*' | b'+' | b',' | b';' | b'=')
            }
        };
        if legal {
            out.push(char::from(byte));
        } else {
            push_escaped(byte, out);
        }
    }
}

fn encode_component(text: &str, out: &mut String) {
    for &byte in text.as_bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            push_escaped(byte, out);
        }
    }
}

/// The bytes that a key of the URL's own query stands for (`+` is a space, as every PondSocket server reads it).
fn decode_key(key: &str) -> Vec<u8> {
    let bytes = key.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |i: usize| bytes.get(i).and_then(|&b| char::from(b).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high * 16 + low));
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    out
}

fn merge_query(own: Option<&str>, params: Option<&str>) -> Result<Option<String>, UrlError> {
    let params = match params {
        Some(text) => parse_params(text)?,
        None => Vec::new(),
    };
    let mut query: Option<String> = None;
    if let Some(own) = own {
        let kept: Vec<&str> = own
            .split('&')
            .filter(|pair| {
                let key = decode_key(pair.split_once('=').map_or(pair, |(key, _)| key));
                // An empty piece (`a=1&&b=2`) is no pair and has no key.
                pair.is_empty() || !params.iter().any(|(name, _)| name.as_bytes() == key)
            })
            .collect();
        if !kept.is_empty() {
            let mut text = String::with_capacity(own.len());
            for c in kept.join("&").chars() {
                if c.is_ascii() {
                    text.push(c);
                } else {
                    // The request line must stay ASCII.
                    c.encode_utf8(&mut [0; 4])
                        .bytes()
                        .for_each(|byte| push_escaped(byte, &mut text));
                }
            }
            query = Some(text);
        }
    }
    for (key, value) in &params {
        let Some(value) = value else { continue };
        let query = query.get_or_insert_default();
        if !query.is_empty() {
            query.push('&');
        }
        encode_component(key, query);
        query.push('=');
        encode_component(value, query);
    }
    Ok(query)
}

/// The parameters in their order; `None` stands for `null`. Of a key given twice the last counts.
fn parse_params(text: &str) -> Result<Vec<(String, Option<String>)>, UrlError> {
    let Some(pairs) = pairs(text) else {
        return refuse("the connection parameters are not a JSON object");
    };
    let mut params: Vec<(String, Option<String>)> = Vec::with_capacity(pairs.len());
    for (key, raw) in pairs {
        let value = match raw.as_bytes().first() {
            Some(b'"') => match serde_json::from_str::<String>(raw) {
                Ok(text) => Some(text),
                Err(_) => return refuse("a connection parameter is not a valid string"),
            },
            Some(b'{' | b'[') => Some(compact(raw)),
            Some(b'n') => None,
            _ => Some(raw.to_owned()),
        };
        match params.iter_mut().find(|(name, _)| *name == key) {
            Some(earlier) => earlier.1 = value,
            None => params.push((key.into_owned(), value)),
        }
    }
    Ok(params)
}

/// The members of a JSON object as it stands: in order, values as they were written (a map of values would sort and round).
/// `None` when the text is none.
fn pairs(text: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let bytes = text.as_bytes();
    // Half a surrogate pair in a key cannot be sent; in a value it is the value's own error.
    let of_keys = Limits {
        paired_surrogates: true,
        ..Limits::NONE
    };
    let mut members = Members::new(bytes, scan::skip_space(bytes, 0))?;
    let mut pairs = Vec::new();
    while let Some(at) = members.next_key().ok()? {
        let (key, escaped, start) = scan::key(bytes, at, &of_keys).ok()?;
        let end = scan::skip_value(bytes, start, &Limits::NONE).ok()?;
        members.passed(end);
        pairs.push((scan::decoded(text, key, escaped), text.get(start..end)?));
    }
    (scan::skip_space(bytes, members.position()) == bytes.len()).then_some(pairs)
}

/// Drops the white space between the tokens of valid JSON.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}
