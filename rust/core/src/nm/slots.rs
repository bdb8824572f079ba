//! Moving items between columns and slots.

use crate::Item;
use crate::stream::unpack_here;
use sparsefmt_kernels::{FloatTable, Kernels, NonTemporal, Order};

/// An item that is packed by a bit per column; [`Item::expand`] unpacks it.
pub trait Slot: Item {
    /// Moves the items of `src` whose bit is set in `full` to `dst`, side by side; those whose bit is not set in `keep`
    /// become zero. Both hold `ceil(src.len() / 8)` bytes. What `dst` cannot hold is dropped.
    fn pack(src: &[Self], keep: &[u8], full: &[u8], dst: &mut [Self]);

    /// Like [`Item::expand`], complete for all threads only when [`Kernels::nontemporal`] returns.
    fn expand_part(out: &NonTemporal, src: &[Self], bits: &[u8], dst: &mut [Self]);

    /// Copies `src` to `dst`, with zeros where the bit is not set. `dst` is as long as `src`.
    fn keep(src: &[Self], bits: &[u8], dst: &mut [Self]);

    /// The entries of `table` that `bits` per code in `stream` name; codes may go by way of `room`.
    fn look_up(stream: &[u8], bits: usize, table: &[Self; 256], room: &mut [u8], out: &mut [Self]) {
        for (out, &code) in out.iter_mut().zip(bytes_of(stream, bits, room)) {
            *out = table[usize::from(code)];
        }
    }

    /// What [`Slot::float_values`] takes instead of a table, if that is faster.
    fn float_table(_table: &[Self; 256]) -> Option<FloatTable> {
        None
    }

    /// The entries that codes name of the table that [`Slot::float_table`] was given; complete for all threads only when
    /// [`Kernels::nontemporal`] returns. `false` if there is no kernel for it.
    fn float_values(_to: &NonTemporal, _codes: &[u8], _table: &FloatTable, _out: &mut [Self]) -> bool {
        false
    }

    /// Packs items as 2 of 4, a multiple of [`Kernels::FOURS`]; `false` if there is no kernel for it, or a group is
    /// overfull. See [`Kernels::nm24_pack`].
    fn nm24_pack(
        _items: &[Self],
        _order: Option<Order<Self>>,
        _zero: Self,
        _codes: &mut [u8],
        _slots: &mut [Self],
    ) -> bool {
        false
    }

    /// Fills `out`, a multiple of [`Kernels::FOURS`], with slots of 2 of 4; complete for all threads only when
    /// [`Kernels::nontemporal`] returns. `false` if there is no kernel for it, or a code names no mask.
    fn nm24_unpack(_to: &NonTemporal, _codes: &[u8], _slots: &[Self], _out: &mut [Self]) -> bool {
        false
    }
}

/// Codes a byte each: those of 8 bits where they are, others in `room`.
fn bytes_of<'a>(stream: &'a [u8], bits: usize, room: &'a mut [u8]) -> &'a [u8] {
    if bits == 8 {
        return stream;
    }
    unpack_here(stream, bits, room);
    room
}

macro_rules! slot {
    ($t:ty, $pack:ident, $expand:ident, $keep:ident $(, $more:item)*) => {
        impl Slot for $t {
            #[inline]
            fn pack(src: &[Self], keep: &[u8], full: &[u8], dst: &mut [Self]) {
                Kernels::active().$pack(src, keep, full, dst);
            }
            #[inline]
            fn expand_part(out: &NonTemporal, src: &[Self], bits: &[u8], dst: &mut [Self]) {
                out.$expand(src, bits, dst);
            }
            #[inline]
            fn keep(src: &[Self], bits: &[u8], dst: &mut [Self]) {
                Kernels::active().$keep(src, bits, dst);
            }
            $($more)*
        }
    };
}

slot!(u8, pack_slots_u8, expand_u8, keep_slots_u8);
slot!(
    u16,
    pack_slots_u16,
    expand_u16,
    keep_slots_u16,
    fn look_up(stream: &[u8], bits: usize, table: &[u16; 256], room: &mut [u8], out: &mut [u16]) {
        match (bits, table.first_chunk()) {
            (4, Some(table)) => Kernels::active().lookup_nibbles_u16(stream, table, out),
            _ => Kernels::active().lookup_u16(bytes_of(stream, bits, room), table, out),
        }
    },
    fn float_table(table: &[u16; 256]) -> Option<FloatTable> {
        Kernels::active().float_table(table)
    },
    fn float_values(to: &NonTemporal, codes: &[u8], table: &FloatTable, out: &mut [u16]) -> bool {
        to.float_values_u16(codes, table, out)
    },
    fn nm24_pack(items: &[u16], order: Option<Order<u16>>, zero: u16, codes: &mut [u8], slots: &mut [u16]) -> bool {
        !Kernels::active().nm24_pack(items, order, zero, codes, slots)
    },
    fn nm24_unpack(to: &NonTemporal, codes: &[u8], slots: &[u16], out: &mut [u16]) -> bool {
        to.nm24_unpack(codes, slots, out) == Some(true)
    }
);
slot!(u32, pack_slots_u32, expand_u32, keep_slots_u32);
slot!(u64, pack_slots_u64, expand_u64, keep_slots_u64);

/// No format packs 16-byte items into groups, so these are no kernels.
impl Slot for [u64; 2] {
    fn pack(src: &[Self], keep: &[u8], full: &[u8], dst: &mut [Self]) {
        let bit = |bits: &[u8], i: usize| bits[i / 8] >> (i % 8) & 1 == 1;
        let chosen = (0..src.len()).filter(|&i| bit(full, i));
        for (to, i) in dst.iter_mut().zip(chosen) {
            *to = if bit(keep, i) { src[i] } else { [0; 2] };
        }
    }
    fn expand_part(_out: &NonTemporal, src: &[Self], bits: &[u8], dst: &mut [Self]) {
        Self::expand(src, bits, dst, false);
    }
    fn keep(src: &[Self], bits: &[u8], dst: &mut [Self]) {
        for (i, (to, item)) in dst.iter_mut().zip(src).enumerate() {
            *to = if bits[i / 8] >> (i % 8) & 1 == 1 { *item } else { [0; 2] };
        }
    }
}
