//! Which compressed variant a browser takes (RFC 9110, 12.5.3).

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Brotli: a sixth smaller. Browsers take it over TLS only.
    Brotli,
    /// Gzip.
    Gzip,
}

impl Encoding {
    /// Its name in HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the build adds to the file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gz",
        }
    }
}

/// The encodings that these `accept-encoding` headers allow, the smaller first: what is allowed at all is as good as what is
/// preferred, since both are compressed already.
pub fn accepted_encodings<'h>(headers: impl Iterator<Item = &'h str>) -> Vec<Encoding> {
    let offers: Vec<(String, bool)> = headers
        .flat_map(|header| header.split(','))
        .map(parse_offer)
        .collect();
    let is_allowed = |encoding: &Encoding| {
        let named = |wanted: &str| {
            let mut same = offers.iter().filter(|(name, _)| name == wanted);
            same.next().map(|(_, allowed)| *allowed)
        };
        named(encoding.name()).or(named("*")).unwrap_or(false)
    };
    [Encoding::Brotli, Encoding::Gzip]
        .into_iter()
        .filter(is_allowed)
        .collect()
}

/// The name of an encoding, and whether its weight is more than 0.
fn parse_offer(offer: &str) -> (String, bool) {
    let (name, parameters) = offer.split_once(';').unwrap_or((offer, ""));
    let weight = parameters
        .split(';')
        .filter_map(|parameter| parameter.trim().strip_prefix("q="))
        .find_map(|weight| weight.trim().parse::<f32>().ok());
    let is_allowed = weight.is_none_or(|weight| weight > 0.0);
    (name.trim().to_ascii_lowercase(), is_allowed)
}

#[cfg(test)]
mod tests {
    use super::Encoding::{Brotli, Gzip};
    use super::*;

    #[test]
    fn smallest_allowed_variant_comes_first() {
        let cases: [(&[&str], &[Encoding]); 9] = [
            (&["gzip, deflate, br"], &[Brotli, Gzip]),
            (&["gzip", "br"], &[Brotli, Gzip]),
            (&["GZIP"], &[Gzip]),
            (&["br;q=0, gzip;q=0.5"], &[Gzip]),
            (&["*"], &[Brotli, Gzip]),
            (&["*;q=0.1, br;q=0"], &[Gzip]),
            (&["*;q=0"], &[]),
            (&["identity"], &[]),
            (&[], &[]),
        ];
        for (headers, expected) in cases {
            let found = accepted_encodings(headers.iter().copied());
            assert_eq!(found, expected, "{headers:?}");
        }
    }
}
