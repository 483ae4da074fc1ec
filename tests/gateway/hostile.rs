//! Whatever bytes a chip can send.
