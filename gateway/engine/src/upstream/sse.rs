//! Server-sent events, read as they come
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

/// An event that is longer is no server's.
const MAX_BYTES: usize = 4 << 20;

/// Bytes that are not an event yet.
#[derive(Debug, Default)]
pub(super) struct EventReader(Vec<u8>);

/// The stream is no stream of events: a line is too long or is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoEvents;

impl EventReader {
    /// Takes bytes and gives the data of the events that they end. Comments, names and ids are
    /// left out; an event whose data has several lines is not in use by any server and is given
    /// line by line.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, NoEvents> {
        self.0.extend_from_slice(bytes);
        let Some(end) = self.0.iter().rposition(|byte| *byte == b'\n') else {
            return if self.0.len() > MAX_BYTES { Err(NoEvents) } else { Ok(Vec::new()) };
        };
        let whole: Vec<u8> = self.0.drain(..=end).collect();
        let text = std::str::from_utf8(&whole).map_err(|_| NoEvents)?;
        let lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let data = lines.filter_map(|line| line.strip_prefix("data:"));
        Ok(data.map(|data| data.trim_start().to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_events() {
        let bytes =
            ": hello\r\n\r\ndata: {\"a\":\"é\"}\r\n\r\nevent: x\ndata:two\n\ndata: [DONE]\n\n";
        for cut in 0..bytes.len() {
            let mut reader = EventReader::default();
            let mut events = reader.push(&bytes.as_bytes()[..cut]).expect("events");
            events.extend(reader.push(&bytes.as_bytes()[cut..]).expect("events"));
            assert_eq!(events, ["{\"a\":\"é\"}", "two", "[DONE]"], "cut at {cut}");
        }
    }

    #[test]
    fn endless_lines_and_other_bytes_are_refused() {
        assert_eq!(EventReader::default().push(b"data: \xff\n"), Err(NoEvents));
        let long = vec![b'x'; MAX_BYTES + 1];
        assert_eq!(EventReader::default().push(&long), Err(NoEvents));
    }
}
