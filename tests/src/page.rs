//! Parts of a page that programs write, between markers that a reader does not see.

/// Puts a part into a page: in the place of its earlier version, else at the end.
#[must_use]
pub fn with_section(page: &str, name: &str, text: &str) -> String {
    let part = format!("{}\n{}\n{}\n", start(name), text.trim(), end(name));
    match section(page, name) {
        Some(old) => page.replacen(old, &part, 1),
        None if page.trim().is_empty() => part,
        None => format!("{}\n\n{part}", page.trim_end()),
    }
}

/// Finds a part with its markers.
#[must_use]
pub fn section<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    let from = page.find(&start(name))?;
    let end = format!("{}\n", end(name));
    let to = from + page[from..].find(&end)? + end.len();
    Some(&page[from..to])
}

fn start(name: &str) -> String {
    format!("<!-- {name} -->")
}

fn end(name: &str) -> String {
    format!("<!-- /{name} -->")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_where_it_stands() {
        let page = with_section("# Title\n", "one", "first");
        let page = format!("{page}\nafter\n");
        let new = with_section(&page, "one", "second");
        assert_eq!(new, "# Title\n\n<!-- one -->\nsecond\n<!-- /one -->\n\nafter\n");
    }

    #[test]
    fn other_parts_stay() {
        let page = with_section(&with_section("", "one", "1"), "two", "2");
        let page = with_section(&page, "one", "new");
        assert_eq!(section(&page, "two"), Some("<!-- two -->\n2\n<!-- /two -->\n"));
        assert_eq!(section(&page, "three"), None);
    }
}
