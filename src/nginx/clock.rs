//! nginx's time, as signatures write it.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

use ngx::ffi::{NGX_LOG_ERR, ngx_log_t, ngx_time};

use crate::sigv4::{AmzDate, Day};

thread_local! {
    static LAST: Cell<Option<(i64, AmzDate)>> = const { Cell::new(None) };
}

/// The moment of this turn of nginx's event loop, formatted once a second.
pub fn now() -> Option<AmzDate> {
    let seconds = ngx_time();
    match LAST.get() {
        Some((at, date)) if at == seconds => Some(date),
        _ => {
            let date = AmzDate::from_unix(seconds)?;
            LAST.set(Some((seconds, date)));
            Some(date)
        }
    }
}

/// Today, in UTC.
pub fn today() -> Option<Day> {
    now().map(|date| date.day())
}

/// Logs what is wrong with the keys, as an error and once a minute at most.
pub fn complain(log: *mut ngx_log_t, complaint: &str) {
    static NEXT: AtomicI64 = AtomicI64::new(i64::MIN);
    let now = ngx_time();
    if now >= NEXT.load(Ordering::Relaxed) {
        NEXT.store(now + 60, Ordering::Relaxed);
        ngx::ngx_log_error!(NGX_LOG_ERR, log, "aws_sign: {complaint}");
    }
}
