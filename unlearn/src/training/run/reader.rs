//! From a table to typed values, with all faults on the way.

use std::ops::RangeInclusive;

use toml::{Table, Value};

/// A table of the run file, read key by key; what is left over at the end is a fault too.
pub(super) struct Reader<'a> {
    /// Where the table stands, such as `term 2: `.
    place: String,
    table: Table,
    faults: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(place: String, table: Table, faults: &'a mut Vec<String>) -> Self {
        Self { place, table, faults }
    }

    pub(super) fn fault(&mut self, what: &str) {
        self.faults.push(format!("{}{what}", self.place));
    }

    fn misses(&mut self, key: &str, what: &str) {
        self.fault(&format!("{key} must be {what}"));
    }

    /// The table of that name; an empty one if there is none.
    pub(super) fn table(&mut self, key: &str) -> Reader<'_> {
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.misses(key, "a table");
                Table::new()
            }
        };
        Reader::new(format!("{}{key}.", self.place), table, self.faults)
    }

    /// The tables of a list of tables.
    pub(super) fn tables(&mut self, key: &str) -> Vec<Table> {
        let Some(value) = self.table.remove(key) else { return Vec::new() };
        value.try_into().unwrap_or_else(|_| {
            self.misses(key, "a list of tables");
            Vec::new()
        })
    }

    /// A number within a range, if the key is there.
    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.table.remove(key)?;
        #[expect(clippy::cast_precision_loss, reason = "a setting")]
        let number = value.as_float().or_else(|| value.as_integer().map(|i| i as f64));
        let found = number.filter(|number| range.contains(number));
        if found.is_none() {
            self.misses(key, &format!("a number from {} to {}", range.start(), range.end()));
        }
        found
    }

    /// A whole number within a range, if the key is there.
    pub(super) fn count(&mut self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        let value = self.table.remove(key)?;
        let count = value.as_integer().and_then(|integer| usize::try_from(integer).ok());
        let found = count.filter(|count| range.contains(count));
        if found.is_none() {
            self.misses(key, &format!("a whole number from {} to {}", range.start(), range.end()));
        }
        found
    }

    /// Yes or no, if the key is there.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.table.remove(key)?;
        if value.as_bool().is_none() {
            self.misses(key, "true or false");
        }
        value.as_bool()
    }

    /// A word that `parse` knows, if the key is there.
    pub(super) fn word<T>(
        &mut self,
        key: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.table.remove(key)?;
        let found = value.as_str().and_then(parse);
        if found.is_none() {
            self.misses(key, what);
        }
        found
    }

    /// A list of words that `parse` knows, if the key is there.
    pub(super) fn words<T>(
        &mut self,
        key: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.table.remove(key)?;
        let words = value.as_array().map(|list| list.iter().map(|word| parse(word.as_str()?)));
        let found = words.and_then(Iterator::collect).filter(|words: &Vec<T>| !words.is_empty());
        if found.is_none() {
            self.misses(key, &format!("a list of {what}"));
        }
        found
    }

    /// `value`, or a fault that says the key is missing.
    pub(super) fn required<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        let known =
            self.faults.iter().any(|fault| fault.starts_with(&format!("{}{key} ", self.place)));
        if value.is_none() && !known {
            self.fault(&format!("{key} is missing"));
        }
        value
    }

    /// Ends the table: keys that nobody asked for are faults.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            self.faults.push(format!("{}{key} is unknown", self.place));
        }
    }
}
