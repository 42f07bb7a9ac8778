// What this machine has; the table of dispatch.c says what for.
#include "apus_kernels.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static uint32_t features;
static char note[160];

#if defined(__x86_64__)
#include <cpuid.h>

#if defined(__linux__)
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static sigjmp_buf after_illegal;
static volatile sig_atomic_t is_trying;
static struct sigaction previous;

/// Only what this thread tries is caught; anybody else's illegal instruction ends as it would have.
static void caught_illegal(int signal) {
    if (is_trying && syscall(SYS_gettid) == is_trying) siglongjmp(after_illegal, 1);
    sigaction(signal, &previous, NULL);
}

/// There are virtual machines whose CPUID and XCR0 tell of tiles that are then illegal (uxlfoundation/oneDNN#5689).
__attribute__((target("amx-tile"))) static int tiles_work(void) {
    struct sigaction action = {.sa_handler = caught_illegal};
    if (sigaction(SIGILL, &action, &previous) != 0) return 0;
    is_trying = (sig_atomic_t)syscall(SYS_gettid);
    int works = 0;
    if (sigsetjmp(after_illegal, 1) == 0) {
        static const uint8_t configuration[64] __attribute__((aligned(64))) = {
            [0] = 1, [16] = 64, [48] = 16}; // palette 1; one tile of 16 rows of 64 bytes
        __asm__ volatile("ldtilecfg %0\n\ttilezero %%tmm0\n\ttilerelease" : : "m"(configuration));
        works = 1;
    }
    is_trying = 0;
    sigaction(SIGILL, &previous, NULL);
    return works;
}

/// Linux gives the 8 KB of tiles to a process that asks, once for all its threads (Documentation/arch/x86/xstate.rst).
static int may_use_tiles(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) != 0) {
        snprintf(note, sizeof note, "this CPU has AMX, but Linux refused its use (arch_prctl: %s)", strerror(errno));
        return 0;
    }
    if (tiles_work()) return 1;
    snprintf(note, sizeof note, "this CPU says that it has AMX, but its instructions are illegal");
    return 0;
}
#else
static int may_use_tiles(void) { return 0; } // no other system has been tried
#endif

static uint64_t extended_control_register(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/// The CPU's own word (Intel's manual, volume 2, CPUID), as far as the operating system saves the registers.
static uint32_t detect(void) {
    enum { OSXSAVE = 1 << 27, FMA = 1 << 12 };                                                     // leaf 1, ecx
    enum { AVX2 = 1 << 5, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512BW = 1 << 30 };             // leaf 7, ebx
    const uint32_t AVX512VL = 1u << 31;
    enum { AVX512_VNNI = 1 << 11 };                                                                // leaf 7, ecx
    enum { AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25 };                                               // leaf 7, edx
    enum { AVX_VNNI = 1 << 4 };                                                                    // leaf 7.1, eax
    enum { YMM_STATE = 6, ZMM_STATE = 0xe6, TILE_STATE = 3 << 17 };                                // XCR0
    uint32_t found = APUS_X86, a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return found;
    uint64_t saved = extended_control_register();
    if ((saved & YMM_STATE) != YMM_STATE) return found;
    if (c & FMA) found |= APUS_FMA;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    uint32_t last = a;
    if (b & AVX2) found |= APUS_AVX2;
    const uint32_t wide = AVX512F | AVX512DQ | AVX512BW | AVX512VL;
    if ((saved & ZMM_STATE) == ZMM_STATE && (b & wide) == wide) {
        found |= APUS_AVX512;
        if (c & AVX512_VNNI) found |= APUS_AVX512VNNI;
        const uint32_t tiles = AMX_TILE | AMX_INT8;
        if ((d & tiles) == tiles && (saved & TILE_STATE) == TILE_STATE && may_use_tiles()) found |= APUS_AMX;
    }
    if (last >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & AVX_VNNI)) found |= APUS_AVXVNNI;
    return found;
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

static uint32_t detect(void) {
    const unsigned long ASIMDDP = 1ul << 20, I8MM = 1ul << 13; // AT_HWCAP, AT_HWCAP2 (Linux, asm/hwcap.h)
    uint32_t found = APUS_ARM64;
    if (getauxval(AT_HWCAP) & ASIMDDP) found |= APUS_DOTPROD;
    if (getauxval(AT_HWCAP2) & I8MM) found |= APUS_I8MM;
    return found;
}
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>

static int has(const char *name) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value;
}

static uint32_t detect(void) {
    uint32_t found = APUS_ARM64;
    if (has("hw.optional.arm.FEAT_DotProd")) found |= APUS_DOTPROD;
    if (has("hw.optional.arm.FEAT_I8MM")) found |= APUS_I8MM;
    return found;
}
#elif defined(__aarch64__)
static uint32_t detect(void) { return APUS_ARM64; }
#else
static uint32_t detect(void) { return 0; }
#endif

static void detect_once(void) { features = detect(); }

uint32_t apus_cpu_features(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, detect_once);
    return features;
}

const char *apus_cpu_note(void) {
    apus_cpu_features();
    return note[0] ? note : NULL;
}
