//! The portable loops of merges, compiled for wider registers.

/// The functions and the table of an instruction set with these features; `between`, its
/// like for bfloat16, `straight` and `voted` are given.
macro_rules! compiled_merge {
    ($features:literal, $between:path, $between_bf16:path, $straight:path, $voted:path) => {
        use crate::args::merge::{MergeItems, MergeLanes, MergeShare, MergeTile, Table};
        use crate::scalar::merge as plain;

        $crate::x86_64::compiled_merge::compiled_merge!($features, $between, $between_bf16, $straight, $voted;
            read(items: MergeItems<'_>, base: Option<&[f32]>, delta: &mut [f32]) -> bool;
            band(delta: &mut [f32], low: i32, high: i32) -> ();
            drop(delta: &mut [f32], words: &[u32], below: u32) -> ();
            multiply(delta: &mut [f32], factor: f32) -> ();
            divide(delta: &mut [f32], divisor: f32) -> ();
            add(deltas: &[MergeTile], weights: &[f32], sums: &mut MergeTile) -> ();
            add_together(deltas: &[MergeTile], weights: &[f32], sums: &mut MergeTile) -> ();
            add_signs(deltas: &[MergeTile], weights: &[f32], sums: &mut MergeTile) -> ();
            elect(votes: &mut MergeTile, none: f32) -> ();
            agree(
                deltas: &[MergeTile],
                shares: &[MergeShare],
                votes: &MergeTile,
                sums: &mut MergeTile,
                divisors: &mut MergeTile
            ) -> ();
            mean(sums: &mut MergeTile, divisors: &MergeTile, floor: f32) -> ();
            finish(sums: &mut MergeTile, factor: f32, base: &MergeTile) -> ();
            products(a: &[f32], b: &[f32], lanes: &mut MergeLanes) -> ();
            magnitudes(x: &[f32], lanes: &mut MergeLanes) -> ();
        );
    };
    ($features:literal, $between:path, $between_bf16:path, $straight:path, $voted:path; $($name:ident($($argument:ident: $type:ty),*) -> $found:ty;)*) => {
        pub(crate) const TABLE: Table = Table { between: $between, between_bf16: Some($between_bf16), straight: $straight, voted: Some($voted), $($name),* };

        $(
            /// The portable loop.
            #[target_feature(enable = $features)]
            fn $name($($argument: $type),*) -> $found {
                plain::$name($($argument),*)
            }
        )*
    };
}

pub(crate) use compiled_merge;
