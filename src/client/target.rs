//! Where a client dials and what it brings along; changed between dials.

use std::sync::Arc;
use std::time::Instant;

use crate::session::{Failure, status};

use super::library::Library;
use super::net::dial::DialRequest;
use super::net::url::Endpoint;
use super::net::{Tls, TlsOptions};

/// URL, params, headers, TLS.
pub struct Target {
    url: String,
    params: Option<String>,
    endpoint: Endpoint,
    headers: Vec<(String, String)>,
    /// `None`: the platform's roots, which are not read yet.
    tls: Option<Arc<Tls>>,
    max_message_in: usize,
}

impl Target {
    /// Checks URL and params (a checked JSON object). `tls` `None` = the library's default.
    pub fn new(
        url: &str,
        params: Option<&str>,
        headers: Vec<(String, String)>,
        tls: Option<Arc<Tls>>,
        max_message_in: usize,
    ) -> Result<Self, Failure> {
        let endpoint = parse(url, params)?;
        Ok(Self {
            url: url.to_owned(),
            params: params.map(str::to_owned),
            endpoint,
            headers,
            tls,
            max_message_in,
        })
    }

    /// The same place with another URL or other params; `None` keeps what is there.
    pub fn changed(&self, url: Option<&str>, params: Option<&str>) -> Result<Change, Failure> {
        let url = url.unwrap_or(&self.url);
        let params = params.or(self.params.as_deref());
        Ok(Change {
            url: url.to_owned(),
            params: params.map(str::to_owned),
            endpoint: parse(url, params)?,
        })
    }

    /// Takes a checked change.
    pub fn apply(&mut self, change: Change) {
        self.url = change.url;
        self.params = change.params;
        self.endpoint = change.endpoint;
    }

    /// Sets a header in place of the one of the same name, or removes it.
    pub fn set_header(&mut self, name: &str, value: Option<&str>) {
        set_header(&mut self.headers, name, value);
    }

    /// Nothing has to be read for the next dial.
    pub fn is_ready(&self) -> bool {
        !self.endpoint.secure() || self.fresh_tls().is_some()
    }

    fn fresh_tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref().filter(|tls| tls.is_fresh(Instant::now()))
    }

    /// What the next dial needs. May read the platform's roots.
    pub fn request(&mut self, library: &Library) -> Result<DialRequest, Failure> {
        if !self.is_ready() {
            self.tls = Some(match &self.tls {
                None => library.tls(&TlsOptions::default())?,
                // What cannot be read again is used on.
                Some(tls) => library.tls(tls.options()).unwrap_or_else(|_| Arc::clone(tls)),
            });
        }
        let tls = self.tls.as_ref().filter(|_| self.endpoint.secure());
        Ok(DialRequest {
            endpoint: self.endpoint.clone(),
            headers: self.headers.clone(),
            tls: tls.map(|tls| Arc::clone(tls.config())),
            max_message_in: self.max_message_in,
        })
    }
}

impl std::fmt::Debug for Target {
    // URL, params and headers carry credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("endpoint", &self.endpoint)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// A checked change of URL and params.
pub struct Change {
    url: String,
    params: Option<String>,
    endpoint: Endpoint,
}

/// Sets a header in place of the one of the same name (in any case), or removes it.
pub fn set_header(headers: &mut Vec<(String, String)>, name: &str, value: Option<&str>) {
    headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    if let Some(value) = value {
        headers.push((name.to_owned(), value.to_owned()));
    }
}

fn parse(url: &str, params: Option<&str>) -> Result<Endpoint, Failure> {
    Endpoint::parse(url, params).map_err(|error| Failure::new(status::INVALID_URL, error.to_string()))
}
