//! Runs the instructions on CPUs that lack them: each one traps, is decoded as Intel's manual has it, and is done by the
//! model. So encodings, operands, strides and the bytes that are read and written are tested everywhere. A CPU that has
//! them does them itself.

use super::permit::{any, cpu_has_tiles, permit, products, small};
use super::registers::{Amx, Permit};
use crate::args::amx_gemm::Registers;
use crate::scalar::amx_gemm::{Model, add_row};
use std::cell::RefCell;
use std::ffi::{c_int, c_void};

type Tile = [[u32; 16]; 16];

/// Tiles of a CPU that has none, and how often each instruction was met.
struct Machine {
    tiles: [Tile; 8],
    configured: bool,
    met: [usize; 6],
}

thread_local! {
    static MACHINE: RefCell<Machine> = const {
        RefCell::new(Machine { tiles: [[[0; 16]; 16]; 8], configured: false, met: [0; 6] })
    };
}

/// The general registers in the order of their numbers.
const GENERAL: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// An instruction with a three-byte VEX prefix.
struct Vex {
    /// Prefix (0: none, 2: F3, 3: F2) and opcode, in map 0F38, 128 bits, W = 0.
    what: (u8, u8),
    mode: u8,
    reg: usize,
    rm: usize,
    vvvv: usize,
    base: usize,
    index: Option<usize>,
    displacement: i64,
    scale: usize,
    len: i64,
}

impl Vex {
    fn decode(code: &[u8; 16]) -> Self {
        assert_eq!(code[0], 0xC4, "three-byte VEX: {code:02x?}");
        assert_eq!(code[1] & 0x1F, 2, "map 0F38: {code:02x?}");
        assert_eq!(code[2] & 0x84, 0, "W0, 128 bits: {code:02x?}");
        let high = |bit: u32| usize::from(!code[1] >> bit & 1) << 3;
        let (mode, reg, rm) = (code[4] >> 6, usize::from(code[4] >> 3 & 7) | high(7), usize::from(code[4] & 7));
        let mut at = 5;
        let (mut base, mut index, mut scale) = (rm | high(5), None, 1);
        if mode != 3 && rm == 4 {
            let sib = code[at];
            at += 1;
            base = usize::from(sib & 7) | high(5);
            assert!(mode != 0 || sib & 7 != 5, "no base: {code:02x?}");
            index = Some(usize::from(sib >> 3 & 7) | high(6)).filter(|&index| index != 4);
            scale = 1 << (sib >> 6);
        }
        assert!(mode != 0 || rm != 5, "relative to the next instruction: {code:02x?}");
        let displacement = match mode {
            1 => i64::from(code[at] as i8),
            2 => i64::from(i32::from_le_bytes([code[at], code[at + 1], code[at + 2], code[at + 3]])),
            _ => 0,
        };
        at += [0, 1, 4, 0][usize::from(mode)];
        let what = (code[2] & 3, code[3]);
        let vvvv = usize::from(!code[2] >> 3 & 15);
        Self { what, mode, reg, rm: rm | high(5), vvvv, base, index, displacement, scale, len: at as i64 }
    }
}

/// 64 bytes at an address.
fn read(address: i64) -> [u32; 16] {
    // SAFETY: an instruction of the code under test asks for it, and would read it on a CPU that has the instruction.
    unsafe { std::ptr::with_exposed_provenance::<[u32; 16]>(address as usize).read_unaligned() }
}

fn write(address: i64, row: [u32; 16]) {
    // SAFETY: as for `read`.
    unsafe { std::ptr::with_exposed_provenance_mut::<[u32; 16]>(address as usize).write_unaligned(row) }
}

impl Machine {
    fn run(&mut self, vex: &Vex, general: impl Fn(usize) -> i64) {
        let start = general(vex.base) + vex.displacement;
        let stride = vex.index.map_or(0, |index| general(index) * vex.scale as i64);
        let is_register = vex.mode == 3;
        assert!(vex.what == (0, 0x49) || self.configured, "tiles without a configuration");
        let number = match (vex.what, is_register) {
            ((0, 0x49), false) => {
                assert_eq!((vex.reg, vex.vvvv), (0, 0), "ldtilecfg");
                let bytes: Vec<u8> = read(start).iter().flat_map(|word| word.to_le_bytes()).collect();
                assert_eq!(&bytes[..16], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "palette 1");
                assert_eq!(&bytes[16..32], [64u16; 8].map(u16::to_le_bytes).as_flattened(), "bytes of rows");
                assert_eq!(&bytes[48..56], [16u8; 8], "rows");
                assert!(bytes[32..48].iter().chain(&bytes[56..]).all(|&byte| byte == 0), "no more tiles");
                (self.configured, self.tiles) = (true, [[[0; 16]; 16]; 8]);
                0
            }
            ((0, 0x49), true) => {
                assert_eq!((vex.reg, vex.rm, vex.vvvv), (0, 0, 0), "tilerelease");
                self.configured = false;
                1
            }
            ((3, 0x49), true) => {
                assert_eq!((vex.rm, vex.vvvv), (0, 0), "tilezero");
                self.tiles[vex.reg] = [[0; 16]; 16];
                2
            }
            ((3, 0x4B), false) => {
                assert_eq!((vex.rm & 7, vex.vvvv), (4, 0), "tileloadd wants an index");
                self.tiles[vex.reg] = std::array::from_fn(|row| read(start + row as i64 * stride));
                3
            }
            ((2, 0x4B), false) => {
                assert_eq!((vex.rm & 7, vex.vvvv), (4, 0), "tilestored wants an index");
                self.tiles[vex.reg].iter().enumerate().for_each(|(i, &row)| write(start + i as i64 * stride, row));
                4
            }
            ((2, 0x5C), true) => {
                let (a, b) = (self.tiles[vex.rm], self.tiles[vex.vvvv]);
                assert!(vex.reg != vex.rm && vex.reg != vex.vvvv && vex.rm != vex.vvvv, "three tiles");
                self.tiles[vex.reg].iter_mut().zip(&a).for_each(|(sums, a)| add_row(sums, a, &b));
                5
            }
            (what, _) => panic!("no instruction of tiles: {what:?}"),
        };
        self.met[number] += 1;
    }
}

extern "C" fn trap(_signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system hands a handler that asks for it the context of the thread.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let at = std::ptr::with_exposed_provenance::<[u8; 16]>(registers[libc::REG_RIP as usize] as usize);
    // SAFETY: the instruction that trapped, and more code of this program behind it.
    let code = unsafe { at.read_unaligned() };
    let vex = Vex::decode(&code);
    let general = |number: usize| registers[GENERAL[number] as usize];
    MACHINE.with_borrow_mut(|machine| machine.run(&vex, general));
    registers[libc::REG_RIP as usize] += vex.len;
}

/// Lets instructions trap that this CPU lacks.
fn catch_traps() {
    // SAFETY: all zeros are a value of this type.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = trap as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: a valid handler, of the form that `SA_SIGINFO` names.
    assert_eq!(unsafe { libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut()) }, 0);
}

/// All in one, because a handler is of the whole process.
#[test]
fn instructions_are_what_the_manual_says() {
    if !cpu_has_tiles() {
        catch_traps();
    } else if permit().is_none() {
        // Without the system's leave some of them work and others trap.
        return;
    }
    for parts in 1..=3 {
        for wide in [false, true] {
            for item in [small as fn(u32) -> u16, any] {
                let got = products(&mut Amx::begin(Permit(())), parts, wide, item);
                assert_eq!(got, products(&mut Model::default(), parts, wide, item), "{parts} parts, wide: {wide}");
            }
        }
    }
    let mut tiles = Amx::begin(Permit(()));
    let from: Vec<u32> = (0..15 * 37 + 16).map(|i| (i as f32).to_bits()).collect();
    let mut to = vec![-1.0; 15 * 23 + 16];
    tiles.load::<7, u32>(&from, 37);
    tiles.store::<7>(&mut to, 23);
    for (at, &item) in to.iter().enumerate() {
        let want = if at % 23 < 16 { (at / 23 * 37 + at % 23) as f32 } else { -1.0 };
        assert_eq!(item, want, "item {at}");
    }
    drop(tiles);
    MACHINE.with_borrow(|machine| {
        let as_expected = machine.met.iter().all(|&met| (met > 0) != cpu_has_tiles());
        assert!(as_expected, "instructions that trapped: {:?}", machine.met);
        assert!(!machine.configured, "released");
    });
}
