//! Lists in pages: newest first, and a cursor that stays valid while rows arrive.

use crate::error::StoreError;

/// Most rows of one page, whatever was asked for.
const MOST: usize = 1_000;

/// Some rows of a list, and where the next page starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows, newest first.
    pub items: Vec<T>,
    /// Hand this in as `after` for the next page. `None`: these were the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts what was read with one row too many into a page.
    pub(crate) fn cut(mut rows: Vec<(String, T)>, limit: usize) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(|(cursor, _)| cursor.clone()) } else { None };
        Self { items: rows.into_iter().map(|(_, item)| item).collect(), next }
    }
}

/// A page's size within its bounds.
pub(crate) fn bounded(limit: usize) -> usize {
    limit.clamp(1, MOST)
}

/// The row number of a cursor; without one, beyond the newest.
pub(crate) fn before(after: Option<&str>) -> Result<i64, StoreError> {
    match after {
        None => Ok(i64::MAX),
        Some(text) => text.parse().ok().filter(|n| *n >= 0).ok_or_else(|| StoreError::Cursor(text.chars().take(64).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_cursor() {
        let rows = |n: i64| (0..n).map(|at| (at.to_string(), at)).collect::<Vec<_>>();
        assert_eq!(Page::cut(rows(3), 2), Page { items: vec![0, 1], next: Some("1".into()) });
        assert_eq!(Page::cut(rows(2), 2), Page { items: vec![0, 1], next: None });
    }

    #[test]
    fn a_cursor_of_nobody_is_refused_in_words() {
        for text in ["", "-1", "1; DROP TABLE command", "99999999999999999999"] {
            assert!(before(Some(text)).unwrap_err().to_string().contains("start again without it"), "{text}");
        }
    }
}
