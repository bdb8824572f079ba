//! Instruction sets, and whether this CPU has them.

#[cfg(target_arch = "x86_64")]
use crate::x86_64::amx;
use std::fmt;

/// An instruction set that kernels are written for. Later ones inherit from earlier ones what they do not beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Portable Rust.
    Scalar,
    /// 64-bit ARM with NEON; `sdot` where the CPU has it.
    Neon,
    /// x86-64 with AVX2, FMA, BMI1, BMI2, POPCNT and F16C (Haswell, Zen 1 and later).
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL, VBMI, VBMI2, VNNI and VPOPCNTDQ (Ice Lake, Zen 4 and later).
    Avx512,
    /// The same with AMX-TILE and AMX-BF16 (Sapphire Rapids and later), where the system lets the process use them.
    Amx,
}

/// `SPARSEFMT_ISA` names no instruction set, or one that this CPU does not have.
#[derive(Debug)]
pub struct UnknownIsa(String);

impl fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let have: Vec<_> = Isa::ALL.into_iter().filter(|isa| isa.is_available()).map(Isa::name).collect();
        write!(f, "SPARSEFMT_ISA={} is not available; this CPU has {}", self.0, have.join(", "))
    }
}

impl std::error::Error for UnknownIsa {}

impl Isa {
    /// All, slowest first.
    pub const ALL: [Self; 5] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512, Self::Amx];

    /// The name that `SPARSEFMT_ISA` uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        }
    }

    /// Whether this CPU runs it.
    #[cfg(target_arch = "x86_64")]
    #[must_use]
    pub fn is_available(self) -> bool {
        let avx2 = || {
            is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("f16c")
        };
        match self {
            Self::Scalar => true,
            Self::Neon => false,
            Self::Avx2 => avx2(),
            Self::Avx512 => {
                avx2()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vbmi2")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512vpopcntdq")
            }
            Self::Amx => Self::Avx512.is_available() && amx::permit().is_some(),
        }
    }

    /// Whether this CPU runs it.
    #[cfg(not(target_arch = "x86_64"))]
    #[must_use]
    pub fn is_available(self) -> bool {
        self == Self::Scalar || cfg!(target_arch = "aarch64") && self == Self::Neon
    }

    /// The one to use: what `SPARSEFMT_ISA` names, else the best that this CPU has.
    ///
    /// # Errors
    /// `SPARSEFMT_ISA` is set to something that is unknown or not available.
    pub fn from_env() -> Result<Self, UnknownIsa> {
        match std::env::var("SPARSEFMT_ISA") {
            Err(_) => Ok(Self::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Self::Scalar)),
            Ok(name) => {
                Self::ALL.into_iter().find(|isa| isa.name() == name && isa.is_available()).ok_or(UnknownIsa(name))
            }
        }
    }
}
