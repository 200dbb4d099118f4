//! Filling `{names}` of a text with evidence, in one pass: what a device says is never looked at again.

use crate::evidence::{Datum, Evidence, Item};

/// What a text is filled from.
pub(crate) struct Filler<'a> {
    pub evidence: &'a Evidence,
    /// Facts of this item go by their bare name.
    pub item: Option<&'a Item>,
    pub extra: &'a [(&'a str, &'a str)],
}

impl Filler<'_> {
    /// The text with every `{name}` replaced. `None`: one of them is not known.
    pub fn fill(&self, template: &str) -> Option<String> {
        let mut filled = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}')? + open;
            filled.push_str(&rest[..open]);
            filled.push_str(&self.value(&rest[open + 1..close])?);
            rest = &rest[close + 1..];
        }
        filled.push_str(rest);
        (!template.is_empty()).then_some(filled)
    }

    fn value(&self, name: &str) -> Option<String> {
        if let Some((_, value)) = self.extra.iter().find(|(known, _)| *known == name) {
            return Some((*value).to_owned());
        }
        let fact = if name.contains('.') { self.evidence.find(name, self.item)? } else { self.item?.fact(name)? };
        Some(match &fact.datum {
            Datum::Number(x) => tidy(*x),
            Datum::Text(text) => text.clone(),
            Datum::Flag(flag) => flag.to_string(),
        })
    }
}

/// A figure for people: whole from 10 on, else one decimal when there is one.
pub(crate) fn tidy(x: f64) -> String {
    let rounded = if x.abs() >= 10.0 { x.round() } else { (x * 10.0).round() / 10.0 };
    if rounded == 0.0 { "0".into() } else { rounded.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_braces_is_not_filled_again() {
        let evidence = Evidence::default();
        let filler = Filler { evidence: &evidence, item: None, extra: &[("name", "{secret}"), ("n", "3")] };
        assert_eq!(filler.fill("{name} has {n}").as_deref(), Some("{secret} has 3"));
        assert_eq!(filler.fill("{missing}"), None);
        assert_eq!(filler.fill("a {broken"), None);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([tidy(81.4), tidy(4.16), tidy(0.04), tidy(-58.0)], ["81", "4.2", "0", "-58"]);
    }
}
