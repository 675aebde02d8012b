"""The commands of `slmzoo`, one file each in wings; `table` names them all, and `options` holds their options."""
