//! Block formats of GGUF: the portable loops, compiled for wider registers.

use crate::args::gguf::Table;
use crate::scalar::{gguf, gguf_k};

macro_rules! wider {
    ($($name:ident: $plain:path),*) => {
        pub(crate) const TABLE: Table = Table { $($name),* };
        $(
            /// See [`crate::Kernels::gguf_f32`].
            #[target_feature(enable = "avx2,f16c")]
            fn $name(blocks: &[u8], out: &mut [f32]) {
                $plain(blocks, out);
            }
        )*
    };
}

wider!(
    q4_0: gguf::q4_0,
    q4_1: gguf::q4_1,
    q5_0: gguf::q5_0,
    q5_1: gguf::q5_1,
    q8_0: gguf::q8_0,
    q2_k: gguf_k::q2_k,
    q3_k: gguf_k::q3_k,
    q4_k: gguf_k::q4_k,
    q5_k: gguf_k::q5_k,
    q6_k: gguf_k::q6_k
);
