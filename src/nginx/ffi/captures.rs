//! What regular expressions have captured of a request.

use std::ffi::c_int;
use std::{ptr, slice};

use ngx::ffi::u_char;
use smallvec::SmallVec;

use super::Request;

/// A copy of what the last regular expression has captured. Another one, of a `map` for example, puts
/// its own in the place of that.
pub struct Captures {
    places: SmallVec<[c_int; 32]>,
    text: *mut u_char,
}

impl Captures {
    /// Makes a copy; `None` when there is no memory.
    pub fn save(request: Request) -> Option<Captures> {
        let r = request.as_ptr();
        // SAFETY: plain fields of a live request
        let (count, captures, text) =
            unsafe { ((*r).ncaptures, (*r).captures, (*r).captures_data) };
        let mut places = SmallVec::new();
        if count > 0 && !captures.is_null() {
            places.try_reserve(count).ok()?;
            // SAFETY: nginx has filled that many
            places.extend_from_slice(unsafe { slice::from_raw_parts(captures, count) });
        }
        Some(Captures { places, text })
    }

    /// Puts the copy back.
    pub fn restore(self, request: Request) {
        let r = request.as_ptr();
        // SAFETY: as above. nginx may have another array meanwhile; each has room for the most that
        // any expression of the configuration captures
        unsafe {
            (*r).ncaptures = 0;
            (*r).captures_data = self.text;
            // null when there was no memory for another one
            if !(*r).captures.is_null() {
                (*r).ncaptures = self.places.len();
                let places = self.places.as_ptr();
                ptr::copy_nonoverlapping(places, (*r).captures, self.places.len());
            }
        }
    }
}
