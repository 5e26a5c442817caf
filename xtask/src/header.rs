//! What the `//!` header of a method says: one line on what it is, and links to its sources.

/// The header of one file.
pub(crate) struct Header {
    /// The first sentence.
    pub(crate) summary: String,
    pub(crate) links: Vec<Link>,
    /// What the list items `- LABEL: text.` say.
    facts: Vec<(String, String)>,
}

/// What the header of a method of posterior sampling says in list items, as columns of `docs/methods.md`.
pub(crate) const FACTS: [&str; 4] = ["Needs", "Cost", "Gaussian prior", "Use"];

/// A source on the web.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) label: String,
    pub(crate) url: String,
}

impl Header {
    /// Reads the leading `//!` lines of `source`.
    pub(crate) fn parse(source: &str) -> Self {
        let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
        let lines: Vec<&str> = lines.map(str::trim).collect();
        let summary = lines
            .split(|line| line.is_empty())
            .next()
            .unwrap_or_default()
            .join(" ");
        Self {
            summary: first_sentence(&summary).to_owned(),
            links: links(&lines.join(" ")),
            facts: lines.iter().filter_map(|line| fact(line)).collect(),
        }
    }

    /// The text of the list item with this label.
    pub(crate) fn fact(&self, label: &str) -> Option<&str> {
        let (_, text) = self.facts.iter().find(|(found, _)| found == label)?;
        Some(text)
    }
}

/// Label and text of a list item `- LABEL: text.`.
fn fact(line: &str) -> Option<(String, String)> {
    let (label, text) = line.strip_prefix("- ")?.split_once(": ")?;
    Some((label.to_owned(), text.trim_end_matches('.').to_owned()))
}

/// Up to the first full stop that a capital letter follows, without heading marks and without the stop.
fn first_sentence(paragraph: &str) -> &str {
    let text = paragraph.trim_start_matches(['#', ' ']);
    let stops = text.match_indices(". ").map(|(at, _)| at);
    let ends_sentence = |&at: &usize| text[at + 2..].starts_with(char::is_uppercase);
    let end = stops.into_iter().find(ends_sentence).unwrap_or(text.len());
    text[..end].trim_end_matches(['.', ':'])
}

/// Every address in `text`, once, labelled by its Markdown link text or else by its site.
fn links(text: &str) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for (start, _) in text.match_indices("https://") {
        let rest = &text[start..];
        let end = rest
            .find(|c: char| c.is_whitespace() || "<>\"`)]".contains(c))
            .unwrap_or(rest.len());
        let url = rest[..end].trim_end_matches(['.', ',', ';', ':']);
        if !links.iter().any(|link| link.url == url) {
            let label = markdown_label(&text[..start]).unwrap_or_else(|| site_label(url));
            links.push(Link {
                label,
                url: url.to_owned(),
            });
        }
    }
    links
}

/// The text of the Markdown link whose address starts after `before`.
fn markdown_label(before: &str) -> Option<String> {
    let before = before.strip_suffix('<').unwrap_or(before);
    let label = before
        .strip_suffix("](")
        .or_else(|| before.strip_suffix("]: "))?;
    let start = label.rfind('[')? + 1;
    Some(label[start..].to_owned())
}

/// `arXiv:2010.02502`, `doi:10.1/x` or the name of the site.
fn site_label(url: &str) -> String {
    let place = url.trim_start_matches("https://");
    if let Some(number) = place.strip_prefix("arxiv.org/abs/") {
        format!("arXiv:{number}")
    } else if let Some(number) = place.strip_prefix("doi.org/") {
        format!("doi:{number}")
    } else {
        place.split('/').next().unwrap_or(place).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
//! # DDIM, the sampler of Song et al. (2021) with
//! stochasticity eta. More follows.
//!
//! See [Song et al. 2021](https://arxiv.org/abs/2010.02502), eq. (12);
//! once more <https://arxiv.org/abs/2010.02502>, and https://doi.org/10.1/x.

use std::fmt; // https://not.in/the/header
";

    #[test]
    fn the_summary_is_the_first_sentence() {
        let header = Header::parse(SOURCE);
        assert_eq!(
            header.summary,
            "DDIM, the sampler of Song et al. (2021) with stochasticity eta"
        );
    }

    #[test]
    fn links_are_labelled_and_listed_once() {
        let links = Header::parse(SOURCE).links;
        let pairs: Vec<_> = links
            .iter()
            .map(|link| (&link.label[..], &link.url[..]))
            .collect();
        let paper = ("Song et al. 2021", "https://arxiv.org/abs/2010.02502");
        assert_eq!(pairs, [paper, ("doi:10.1/x", "https://doi.org/10.1/x")]);
    }

    #[test]
    fn a_bare_arxiv_address_is_labelled_by_its_number() {
        let links = Header::parse("//! A, <https://arxiv.org/abs/2006.11239>.").links;
        assert_eq!(links[0].label, "arXiv:2006.11239");
    }

    #[test]
    fn facts_are_found_by_their_label() {
        let header =
            Header::parse("//! A method.\n//!\n//! - Needs: an operator.\n//! - Use: often.\n");
        assert_eq!(header.fact("Needs"), Some("an operator"));
        assert_eq!(header.fact("Use"), Some("often"));
        assert_eq!(header.fact("Cost"), None);
    }

    #[test]
    fn a_file_without_header_has_neither() {
        let header = Header::parse("use std::fmt; // https://example.org\n");
        assert!(header.summary.is_empty() && header.links.is_empty());
    }
}
