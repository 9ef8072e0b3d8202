//! Changing the pages of a running enclave: EMODPR, EMODPE, EACCEPT, EAUG, EACCEPTCOPY, EMODT.

mod common;

use common::{EEXIT, ERESUME, Enclave, Entry, PAGE, Spec, at};
use sgx_isa::{ErrorCode, SecinfoFlags};
use sgx_sim::Permissions;

const EACCEPT: u32 = 5;
const EMODPE: u32 = 6;
const EACCEPTCOPY: u32 = 7;
const MISMATCH: u64 = ErrorCode::PageAttributesMismatch as u64;

/// #GP, as [`Pages::leaf`] returns it.
const FAULT: u64 = 1013;

const R: u64 = 1;
const W: u64 = 2;
const X: u64 = 4;
const PENDING: u64 = 8;
const MODIFIED: u64 = 16;
const PR: u64 = 32;
const REG: u64 = 0x200;
const TRIM: u64 = 0x400;

/// An enclave whose entry executes leaves. [`touch`] accesses its pages.
struct Pages {
    enclave: Enclave,
    page: u64,
}

impl Pages {
    fn new(spare: SecinfoFlags) -> Self {
        let mut spec = Spec::new(Entry::Leaf);
        spec.spare = spare;
        let enclave = spec.load();
        let page = enclave.base() + at::SPARE;
        Pages { enclave, page }
    }

    fn secinfo(&self, flags: u64) -> u64 {
        let address = self.enclave.data(0) + 64;
        self.enclave.poke(address, [flags, 0, 0, 0, 0, 0, 0, 0]);
        address
    }

    /// Executes a leaf. Returns RAX, or 1000 plus the vector.
    fn leaf(&self, leaf: u32, flags: u64, page: u64, from: u64) -> u64 {
        let secinfo = self.secinfo(flags);
        match self.enclave.leaf(leaf, secinfo, page, from) {
            Ok((rax, zf)) => {
                if leaf != EMODPE {
                    assert_eq!(zf, rax != 0);
                    rax
                } else {
                    0
                }
            }
            Err(exit) => 1000 + u64::from(exit.vector),
        }
    }

    fn accept(&self, flags: u64) -> u64 {
        self.leaf(EACCEPT, flags, self.page, 0)
    }

    /// Returns the permissions that the page table gives for the page.
    fn mapped(&self) -> String {
        mapped(self.page)
    }

    fn restrict(&self, permissions: Permissions) -> Result<(), sgx_sim::Error> {
        sgx_sim::restrict_permissions(self.page as usize, PAGE as usize, permissions)
    }
}

fn mapped(address: u64) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps
        .lines()
        .find(|line| {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let bound = |text| u64::from_str_radix(text, 16).unwrap();
            (bound(start)..bound(end)).contains(&address)
        })
        .unwrap_or_default();
    line.split(' ').nth(1).unwrap_or_default()[..3].to_owned()
}

const RWX: SecinfoFlags = SecinfoFlags::from_bits_truncate(7);
const RW: SecinfoFlags = SecinfoFlags::from_bits_truncate(3);

#[test]
fn restricted_permissions_await_acceptance() {
    let pages = Pages::new(RWX);
    assert_eq!(pages.mapped(), "rwx");
    pages.restrict(Permissions::RX).unwrap();
    assert_eq!(pages.mapped(), "r-x");
    assert_eq!(pages.accept(REG | R | W | X | PR), MISMATCH);
    assert_eq!(pages.accept(REG | R | X), FAULT, "there is nothing to accept");
    assert_eq!(pages.accept(REG | R | X | PR), 0);
    assert_eq!(pages.accept(REG | R | X | PR), MISMATCH, "PR is clear");
    assert_eq!(pages.accept(REG | R | X), FAULT);
}

#[test]
fn the_enclave_extends_what_was_restricted() {
    let pages = Pages::new(RWX);
    pages.restrict(Permissions::R).unwrap();
    assert_eq!(pages.accept(REG | R | PR), 0);
    assert_eq!(pages.mapped(), "r--");
    assert_eq!(pages.leaf(EMODPE, REG | X, pages.page, 0), 0);
    assert_eq!(pages.mapped(), "r-x");
    assert_eq!(pages.leaf(EMODPE, REG | W, pages.page, 0), 0);
    assert_eq!(pages.mapped(), "rwx");
}

#[test]
fn page_tables_limit_what_the_enclave_extends() {
    let pages = Pages::new(RW);
    let (page, len) = (pages.page as usize, PAGE as usize);
    assert_eq!(pages.leaf(EMODPE, REG | X, pages.page, 0), 0);
    assert_eq!(pages.mapped(), "rw-", "the page table does not say X");
    assert!(sgx_sim::protect(page, len, Permissions::RWX).is_err());
    sgx_sim::protect(page, len, Permissions::R).unwrap();
    assert_eq!(pages.mapped(), "r--");
    sgx_sim::protect(page, len, Permissions::RW).unwrap();
    assert_eq!(pages.mapped(), "rw-");
}

#[test]
fn a_denial_by_the_epcm_is_told_from_one_by_the_page_table() {
    const SGX: u16 = 1 << 15;
    let mut spec = Spec::new(Entry::Touch);
    spec.spare = RWX;
    let store = |enclave: &Enclave| {
        let exit = enclave.enter(0, [1, enclave.base() + at::SPARE, 7, 0, 0]);
        assert_eq!((exit.function, exit.vector), (ERESUME, 14));
        assert_eq!(exit.address, enclave.base() + at::SPARE);
        exit.error_code & SGX
    };
    let (a, b) = (spec.load(), spec.load());
    let page = |enclave: &Enclave| (enclave.base() + at::SPARE) as usize;
    sgx_sim::restrict_permissions(page(&a), PAGE as usize, Permissions::RX).unwrap();
    assert_eq!(store(&a), SGX);
    sgx_sim::protect(page(&b), PAGE as usize, Permissions::RX).unwrap();
    assert_eq!(store(&b), 0);
}

#[test]
fn pages_without_execute_permission_do_not_execute() {
    let enclave = Spec::new(Entry::Touch).load();
    let page = enclave.base() + at::SPARE;
    const RET: u8 = 0xc3;
    enclave.poke(page, RET);
    let exit = enclave.enter(0, [2, page, 0, 0, 0]);
    assert_eq!((exit.function, exit.vector, exit.address), (ERESUME, 14, page));

    let mut spec = Spec::new(Entry::Touch);
    spec.spare = RWX;
    let enclave = spec.load();
    let page = enclave.base() + at::SPARE;
    enclave.poke(page, RET);
    assert_eq!(enclave.enter(0, [2, page, 0, 0, 0]).function, EEXIT);
}

#[test]
fn many_pages_are_restricted_at_once() {
    let pages = Pages::new(RWX);
    sgx_sim::restrict_permissions(pages.page as usize, 4 * PAGE as usize, Permissions::RX).unwrap();
    for page in 0..4 {
        let page = pages.page + page * PAGE;
        assert_eq!(mapped(page), "r-x");
        assert_eq!(pages.leaf(EACCEPT, REG | R | X | PR, page, 0), 0);
    }
    let beyond =
        sgx_sim::restrict_permissions(pages.page as usize, 5 * PAGE as usize, Permissions::R);
    assert!(beyond.is_err(), "there is no fifth page");
    assert_eq!(pages.mapped(), "r-x", "and none was changed");
}

#[test]
fn augmented_pages_await_acceptance() {
    let pages = Pages::new(RW);
    let page = pages.page + 8 * PAGE;
    sgx_sim::augment(page as usize, PAGE as usize).unwrap();
    assert!(sgx_sim::augment(page as usize, PAGE as usize).is_err());
    assert_eq!(mapped(page), "---");
    let accept = |flags| pages.leaf(EACCEPT, flags, page, 0);
    assert_eq!(accept(REG | R | W), FAULT);
    assert_eq!(accept(REG | R | W | PR), MISMATCH);
    assert_eq!(accept(REG | R | PENDING), MISMATCH);
    assert_eq!(accept(REG | R | W | PENDING), 0);
    assert_eq!(mapped(page), "rw-");
    assert_eq!(pages.enclave.peek::<u64>(page), 0);
}

#[test]
fn augmented_pages_can_be_filled_with_a_copy() {
    let pages = Pages::new(RW);
    let page = pages.page + 8 * PAGE;
    sgx_sim::augment(page as usize, PAGE as usize).unwrap();
    pages.enclave.poke(pages.page, 0x1122_3344_5566_7788u64);
    let copy = |flags| pages.leaf(EACCEPTCOPY, flags, page, pages.page);
    assert_eq!(copy(REG | W), 1013);
    assert_eq!(copy(REG | R), 0);
    assert_eq!(mapped(page), "r--");
    assert_eq!(pages.enclave.peek::<u64>(page), 0x1122_3344_5566_7788);
    assert_eq!(copy(REG | R), MISMATCH, "no longer pending");
}

/// Returns pages that were added, and an enclave whose entry executes a leaf for one after the
/// other.
fn added(count: u64) -> (Pages, u64) {
    let mut spec = Spec::new(Entry::Leaves);
    spec.spare = RW;
    let enclave = spec.load();
    let page = enclave.base() + at::SPARE;
    let first = page + 4 * PAGE;
    sgx_sim::augment(first as usize, (count * PAGE) as usize).unwrap();
    (Pages { enclave, page }, first)
}

#[test]
fn a_loop_over_pages_does_to_each_what_a_single_leaf_does() {
    let (pages, first) = added(16);
    let end = first + 16 * PAGE;
    let secinfo = pages.secinfo(REG | R | W | PENDING);
    let exit = pages.enclave.enter(0, [EACCEPT.into(), secinfo, first, end, 0]);
    assert_eq!((exit.function, exit.rdi, exit.rsi, exit.rdx), (EEXIT, end, 16, 0));
    let each = || (first..end).step_by(PAGE as usize);
    assert!(each().all(|page| mapped(page) == "rw-"));
    assert!(each().all(|page| pages.enclave.peek::<u64>(page) == 0));

    sgx_sim::restrict_permissions(first as usize, 16 * PAGE as usize, Permissions::R).unwrap();
    let secinfo = pages.secinfo(REG | R | PR);
    pages.enclave.enter(0, [EACCEPT.into(), secinfo, first, end, 0]);
    let secinfo = pages.secinfo(REG | X);
    let exit = pages.enclave.enter(0, [EMODPE.into(), secinfo, first, end, EMODPE.into()]);
    assert_eq!((exit.rdi, exit.rsi, exit.rdx), (end, 16, EMODPE.into()));
    assert!(each().all(|page| mapped(page) == "r--"), "the page table allows no more yet");
    sgx_sim::protect(first as usize, 16 * PAGE as usize, Permissions::RX).unwrap();
    assert!(each().all(|page| mapped(page) == "r-x"));
}

#[test]
fn a_loop_over_pages_ends_at_the_one_that_is_not_as_expected() {
    let (pages, first) = added(16);
    let end = first + 16 * PAGE;
    let secinfo = pages.secinfo(REG | R | W | PENDING);
    let enter = |from| pages.enclave.enter(0, [EACCEPT.into(), secinfo, from, end, 0]);
    let fifth = first + 4 * PAGE;
    let exit = pages.enclave.enter(0, [EACCEPT.into(), secinfo, fifth, fifth + PAGE, 0]);
    assert_eq!((exit.rdi, exit.rsi, exit.rdx), (fifth + PAGE, 1, 0));
    let exit = enter(first);
    assert_eq!((exit.rdi, exit.rsi, exit.rdx), (fifth, 5, MISMATCH));
    assert_eq!((mapped(fifth - PAGE).as_str(), mapped(fifth + PAGE).as_str()), ("rw-", "---"));
    let exit = enter(fifth + PAGE);
    assert_eq!((exit.rdi, exit.rsi, exit.rdx), (end, 11, 0));
    assert_eq!(mapped(end - PAGE), "rw-");
}

#[test]
fn a_loop_over_pages_faults_at_the_one_that_is_not_there() {
    const RCX: u64 = 8;
    const R10: u64 = 80;
    const RIP: u64 = 136;
    let (pages, first) = added(16);
    let end = first + 16 * PAGE;
    let secinfo = pages.secinfo(REG | R | W | PENDING);
    let enclave = &pages.enclave;
    let exit = enclave.enter(0, [EACCEPT.into(), secinfo, first, end + PAGE, 0]);
    assert_eq!((exit.function, exit.vector, exit.address), (ERESUME, 14, end));
    let saved = |at| enclave.peek::<u64>(enclave.tcs(0) + at::SSA + PAGE - 184 + at);
    assert_eq!((saved(RCX), saved(R10)), (end, 17));
    assert_eq!(enclave.peek::<[u8; 3]>(saved(RIP)), [0x0f, 0x01, 0xd7]);
    assert_eq!(mapped(end - PAGE), "rw-", "what was accepted before is there");
}

#[test]
fn a_leaf_can_read_what_the_one_before_it_has_accepted() {
    let (pages, first) = added(16);
    let before = first - PAGE;
    pages.enclave.poke(before, [REG | R | W | PENDING, 0, 0, 0, 0, 0, 0, 0]);
    // The second SECINFO is the first page that was accepted. It holds zeros, which are not valid.
    let exit =
        pages.enclave.enter(0, [EACCEPT.into(), before, first, first + 16 * PAGE, PAGE << 32]);
    assert_eq!((exit.function, exit.vector), (ERESUME, 13), "and not a page fault");
    assert_eq!(mapped(first), "rw-");
}

#[test]
fn trimmed_pages_can_be_removed_and_added_anew() {
    let pages = Pages::new(RW);
    let (page, len) = (pages.page as usize, PAGE as usize);
    pages.enclave.poke(pages.page, 5u64);
    assert!(sgx_sim::remove(page, len).is_err());
    sgx_sim::trim(page, len).unwrap();
    assert_eq!(pages.mapped(), "---");
    assert!(sgx_sim::remove(page, len).is_err(), "not yet accepted");
    assert_eq!(pages.accept(TRIM | MODIFIED), 0);
    sgx_sim::remove(page, len).unwrap();
    sgx_sim::augment(page, len).unwrap();
    assert_eq!(pages.accept(REG | R | W | PENDING), 0);
    assert_eq!(pages.enclave.peek::<u64>(pages.page), 0);
}

#[test]
fn malformed_operands_fault() {
    let pages = Pages::new(RW);
    let (gp, pf) = (1013, 1014);
    for leaf in [EACCEPT, EMODPE] {
        assert_eq!(pages.leaf(leaf, REG | R, pages.page + 8, 0), gp);
        assert_eq!(pages.leaf(leaf, REG | R, 0x1000, 0), gp);
        assert_eq!(pages.leaf(leaf, REG | R | 1 << 6, pages.page, 0), gp);
        assert_eq!(pages.leaf(leaf, REG | R | PR, pages.page + 8 * PAGE, 0), pf);
        let secinfo = pages.secinfo(REG | R);
        let unaligned = pages.enclave.leaf(leaf, secinfo + 8, pages.page, 0);
        assert_eq!(unaligned.unwrap_err().vector, 13);
    }
    assert_eq!(pages.accept(REG | R | W | MODIFIED), gp);
    assert_eq!(pages.accept(TRIM), gp);
}

#[test]
fn thread_control_structures_stay_inaccessible() {
    let pages = Pages::new(RW);
    let tcs = pages.enclave.tcs(0);
    sgx_sim::protect(tcs as usize, PAGE as usize, Permissions::RW).unwrap();
    assert_eq!(mapped(tcs), "---");
    assert!(sgx_sim::protect(tcs as usize, PAGE as usize, Permissions::RX).is_err());
    assert!(sgx_sim::restrict_permissions(tcs as usize, PAGE as usize, Permissions::R).is_err());
    assert_eq!(pages.leaf(EMODPE, REG | R, tcs, 0), 1014);
}

#[test]
fn ranges_that_are_not_whole_pages_of_one_enclave_are_refused() {
    let pages = Pages::new(RW);
    let (page, len) = (pages.page as usize, PAGE as usize);
    for (address, len) in [
        (page + 1, len),
        (page, len + 1),
        (page, usize::MAX & !0xfff),
        (pages.enclave.base() as usize + at::SIZE as usize, len),
        (0x1000, len),
    ] {
        assert!(sgx_sim::protect(address, len, Permissions::R).is_err());
    }
    sgx_sim::protect(page, 0, Permissions::R).unwrap();
    assert_eq!(pages.mapped(), "rw-");
}
