//! What a connection is about, as its path says.

use crate::Error;

/// What frames a flood is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A broadcast of 200 bytes.
    Small,
    /// A broadcast of 4 KiB: numbers, short strings, objects in arrays.
    Dense,
    /// A broadcast of 4 KiB: one text of characters of three bytes.
    Text,
    /// A presence frame with the whole list of 1,000 users, 104 KB.
    Presence,
}

/// In which order a server writes an envelope's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As the JavaScript server.
    JavaScript,
    /// As the Python server: the payload last.
    Python,
    /// As the Rust and Go servers: the event behind the payload.
    Rust,
}

/// `/KIND/COUNT/CHANNELS/ORDER`: `/small/100000/1/js`.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    pub kind: Kind,
    pub count: u64,
    pub channels: u32,
    pub order: Order,
}

impl Plan {
    /// Reads the path of a request line; a query behind it is left alone.
    pub fn parse(path: &str) -> Result<Self, Error> {
        let path = path.split('?').next().unwrap_or_default();
        let mut parts = path.trim_matches('/').split('/');
        let mut part = || parts.next().ok_or("a path is /KIND/COUNT/CHANNELS/ORDER");
        let name = part()?;
        Ok(Self {
            name: name.to_owned(),
            kind: match name {
                "small" => Kind::Small,
                "dense" => Kind::Dense,
                "text" => Kind::Text,
                "presence" => Kind::Presence,
                _ => return Err("no such kind".into()),
            },
            count: part()?.parse()?,
            channels: part()?.parse()?,
            order: match part()? {
                "js" => Order::JavaScript,
                "python" => Order::Python,
                "rust" => Order::Rust,
                _ => return Err("no such order of keys".into()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let plan = Plan::parse("/dense/12/64/rust?token=x").unwrap();
        assert_eq!(
            (plan.kind, plan.count, plan.channels, plan.order),
            (Kind::Dense, 12, 64, Order::Rust)
        );
        assert!(Plan::parse("/dense/12/64").is_err());
        assert!(Plan::parse("/huge/1/1/js").is_err());
    }
}
