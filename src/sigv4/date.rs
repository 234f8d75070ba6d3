//! The two dates of a signature: the day of its scope and the second of its request.

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike};

/// A UTC day in the form `yyyymmdd`, known to be in the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day([u8; 8]);

impl Day {
    /// Reads `yyyymmdd`; `None` for anything but eight digits that are a date.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits: [u8; 8] = text.try_into().ok()?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = |from: usize, to: usize| {
            digits[from..to].iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'))
        };
        NaiveDate::from_ymd_opt(number(0, 4) as i32, number(4, 6), number(6, 8))?;
        Some(Day(digits))
    }

    /// The eight digits.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// When the day is over, in seconds since the Unix epoch.
    pub fn end(&self) -> i64 {
        self.date().and_time(NaiveTime::MIN).and_utc().timestamp() + 24 * 60 * 60
    }

    /// The day after this one; `None` at the end of the calendar.
    pub fn next(&self) -> Option<Day> {
        AmzDate::from_unix(self.end()).map(|date| date.day())
    }

    fn date(&self) -> NaiveDate {
        let number = |range: Range<usize>| {
            self.0[range].iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'))
        };
        // a day of the calendar is one, or the value would not be
        NaiveDate::from_ymd_opt(number(0..4) as i32, number(4..6), number(6..8)).unwrap_or_default()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_ascii(&self.0, f)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_ascii(&self.0, f)
    }
}

/// A moment in the form `yyyymmddThhmmssZ`, the value of `X-Amz-Date`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AmzDate([u8; 16]);

impl AmzDate {
    /// The moment `seconds` after the Unix epoch; `None` outside the years 0 to 9999.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        let time = DateTime::from_timestamp(seconds, 0)?;
        let year = u32::try_from(time.year()).ok().filter(|year| *year <= 9999)?;
        let mut text = *b"0000000000000000";
        let fields = [
            (0..4, year),
            (4..6, time.month()),
            (6..8, time.day()),
            (9..11, time.hour()),
            (11..13, time.minute()),
            (13..15, time.second()),
        ];
        for (range, mut value) in fields {
            for digit in text[range].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        text[8] = b'T';
        text[15] = b'Z';
        Some(AmzDate(text))
    }

    /// Reads `yyyymmddThhmmssZ`; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: [u8; 16] = text.try_into().ok()?;
        let time = &text[9..15];
        let in_range = time.iter().all(u8::is_ascii_digit)
            && &time[..2] <= b"23".as_slice()
            && &time[2..4] <= b"59".as_slice()
            && &time[4..] <= b"59".as_slice();
        Day::parse(&text[..8])?;
        (text[8] == b'T' && text[15] == b'Z' && in_range).then_some(AmzDate(text))
    }

    /// The sixteen characters.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The UTC day of this moment.
    pub fn day(&self) -> Day {
        let mut day = [0; 8];
        day.copy_from_slice(&self.0[..8]);
        Day(day)
    }
}

impl fmt::Display for AmzDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_ascii(&self.0, f)
    }
}

impl fmt::Debug for AmzDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_ascii(&self.0, f)
    }
}

fn fmt_ascii(text: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(std::str::from_utf8(text).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_of_the_calendar_are_days() {
        for good in ["20150830", "20160229", "00010101", "99991231"] {
            assert_eq!(Day::parse(good.as_bytes()).unwrap().to_string(), good);
        }
        for bad in
            ["", "2015083", "201508300", "20150229", "20151301", "20150832", "2015083a", "+2015083"]
        {
            assert!(Day::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn days_follow_each_other() {
        for (day, next, end) in [
            ("20150830", "20150831", 1_440_979_200),
            ("20160228", "20160229", 1_456_704_000),
            ("20161231", "20170101", 1_483_228_800),
        ] {
            let day = Day::parse(day.as_bytes()).unwrap();
            assert_eq!((day.next().unwrap().to_string().as_str(), day.end()), (next, end));
        }
        assert_eq!(Day::parse(b"99991231").unwrap().next(), None);
    }

    #[test]
    fn moments_are_written_in_utc() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (253_402_300_799, "99991231T235959Z"),
        ] {
            let date = AmzDate::from_unix(seconds).unwrap();
            assert_eq!(date.to_string(), text);
            assert_eq!(date.day().to_string(), text[..8]);
            assert!(AmzDate::parse(text.as_bytes()) == Some(date));
        }
        assert!(AmzDate::from_unix(253_402_300_800).is_none());
        assert!(AmzDate::from_unix(i64::MIN).is_none());
    }

    #[test]
    fn only_moments_are_moments() {
        for bad in [
            "20150830T240000Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "20150830 123600Z",
            "20150830T123600",
            "20150230T000000Z",
            "20150830T1236:0Z",
        ] {
            assert!(AmzDate::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
