#!/usr/bin/env python3
"""Runs a static x86-64 Linux program in an emulated CPU. See README.md."""
import os, shutil, signal, stat, struct, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = {
    'sapphire-rapids': 'sapphire_rapids',   # AVX-512, VNNI, AVX-VNNI, AMX
    'arrow-lake': 'arrow_lake',             # AVX-VNNI, no AVX-512
    'tiger-lake': 'tigerlake',              # AVX-512 VNNI, no AVX-VNNI, no AMX
    'ice-lake': 'corei7_icelake_u',         # AVX-512 VNNI, no AVX-VNNI, no AMX
    'skylake-x': 'corei7_skylake_x',        # AVX-512 F/BW/DQ/VL, no VNNI
    'haswell': 'corei7_haswell_4770',       # AVX2
    'sandy-bridge': 'corei7_sandy_bridge_2600k',  # AVX
    'penryn': 'core2_penryn_t9600',         # SSE4.1
}
ALIAS = {'amx': 'sapphire-rapids', 'avxvnni': 'arrow-lake', 'avx512vnni': 'tiger-lake',
         'avx512': 'skylake-x', 'avx2': 'haswell', 'avx': 'sandy-bridge', 'sse4': 'penryn'}
USAGE = '''usage: run.py [--cpu MODEL] [--env NAME=VALUE]... [--copy HOST[:GUEST]]... [--dir GUESTDIR]
              [--stdin FILE] [--mem MIB] [--timeout SECONDS] [--ips N] [--append KERNELOPTIONS] [--verbose]
              PROGRAM [ARGS...]
models: ''' + ', '.join(MODELS) + '\nshort:  ' + ', '.join('%s=%s' % x for x in ALIAS.items())

def fail(msg):
    sys.stderr.write('run.py: %s\n' % msg)
    sys.exit(125)

def parse(argv):
    o = dict(cpu='amx', env=[], copy=[], dir='/', stdin=None, mem=1024, timeout=0, ips=1000000000, append='', verbose=False)
    i = 0
    while i < len(argv) and argv[i].startswith('-'):
        a = argv[i]
        if a == '--':
            i += 1
            break
        if a in ('-h', '--help'):
            print(USAGE)
            sys.exit(0)
        name, eq, val = a[2:].partition('=')
        if not a.startswith('--') or name not in o:
            fail('unknown option %s\n%s' % (a, USAGE))
        if name == 'verbose':
            o[name] = True
        else:
            if not eq:
                i += 1
                if i >= len(argv):
                    fail('%s needs a value' % a)
                val = argv[i]
            if isinstance(o[name], list):
                o[name].append(val)
            elif isinstance(o[name], int) and not isinstance(o[name], bool):
                o[name] = int(val)
            else:
                o[name] = val
        i += 1
    if i >= len(argv):
        fail(USAGE)
    return o, argv[i], argv[i + 1:]

class Cpio:
    def __init__(self, f):
        self.f, self.ino, self.dirs = f, 1, set()
    def entry(self, name, mode, data=b'', src=None, size=None):
        n = name.lstrip('/').encode() + b'\0'
        size = len(data) if size is None else size
        self.ino += 1
        h = b'070701' + b''.join(b'%08x' % v for v in (self.ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(n), 0))
        self.f.write(h + n + bytes(-(len(h) + len(n)) % 4))
        if src is None:
            self.f.write(data)
        else:
            with open(src, 'rb') as s:
                shutil.copyfileobj(s, self.f, 1 << 20)
        self.f.write(bytes(-size % 4))
    def mkdirs(self, path):
        parts = path.strip('/').split('/')[:-1]
        for k in range(1, len(parts) + 1):
            d = '/'.join(parts[:k])
            if d and d not in self.dirs:
                self.dirs.add(d)
                self.entry(d, 0o40755)
    def add(self, host, guest):
        guest = os.path.normpath('/' + guest)
        self.mkdirs(guest)
        if os.path.isdir(host):
            if guest.strip('/') and guest.strip('/') not in self.dirs:
                self.dirs.add(guest.strip('/'))
                self.entry(guest, 0o40755)
            for n in sorted(os.listdir(host)):
                self.add(os.path.join(host, n), guest + '/' + n)
        else:
            st = os.stat(host)
            self.entry(guest, 0o100000 | stat.S_IMODE(st.st_mode), src=host, size=st.st_size)
    def end(self):
        self.entry('TRAILER!!!', 0)
        self.f.write(bytes(-self.f.tell() % 4096))

def boot_blob(path, cmdline, mem, initrd_at, initrd_size):
    b = bytearray(0x10000)               # lies at 0x10000
    cmd = cmdline.encode() + b'\0'
    assert len(cmd) < 2048
    b[0x1000 * 8:0x1000 * 8 + len(cmd)] = cmd          # 0x18000
    # boot_params
    struct.pack_into('<H', b, 0x1fe, 0xaa55)
    b[0x202:0x206] = b'HdrS'
    struct.pack_into('<H', b, 0x206, 0x20f)
    b[0x210] = 0xff                                    # type_of_loader
    b[0x211] = 1                                       # loadflags: LOADED_HIGH
    struct.pack_into('<II', b, 0x218, initrd_at, initrd_size)
    struct.pack_into('<I', b, 0x228, 0x18000)          # cmd_line_ptr
    struct.pack_into('<I', b, 0x22c, 0x7fffffff)       # initrd_addr_max
    struct.pack_into('<I', b, 0x230, 0x200000)         # kernel_alignment
    b[0x234] = 1                                       # relocatable
    struct.pack_into('<I', b, 0x238, 2047)             # cmdline_size
    e820 = [(0, 0x9fc00, 1), (0x9fc00, 0x400, 2), (0xf0000, 0x10000, 2), (0x100000, (mem << 20) - 0x100000, 1)]
    b[0x1e8] = len(e820)
    for k, e in enumerate(e820):
        struct.pack_into('<QQI', b, 0x2d0 + 20 * k, *e)
    struct.pack_into('<I', b, 0xff8, 0x1000000)        # entry point, for rom.S
    # identity map of 4 GiB: PML4 at 0x11000, PDPT at 0x12000, PDs at 0x13000..
    struct.pack_into('<Q', b, 0x1000, 0x12003)
    for k in range(4):
        struct.pack_into('<Q', b, 0x2000 + 8 * k, 0x13003 + 0x1000 * k)
        for j in range(512):
            struct.pack_into('<Q', b, 0x3000 + 0x1000 * k + 8 * j, ((k * 512 + j) << 21) | 0x83)
    open(path, 'wb').write(b)

def main():
    o, prog, args = parse(sys.argv[1:])
    model = MODELS.get(ALIAS.get(o['cpu'], o['cpu']).replace('_', '-'))
    if not model:
        fail('no CPU model %s\n%s' % (o['cpu'], USAGE))
    if not os.path.isfile(prog):
        w = shutil.which(prog)
        if not w:
            fail('no program %s' % prog)
        prog = w
    tmp = tempfile.mkdtemp(prefix='emu.', dir=os.environ.get('TMPDIR', '/tmp'))
    try:
        return go(o, prog, args, model, tmp)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)

def go(o, prog, args, model, tmp):
    p = lambda n: os.path.join(tmp, n)
    guest_prog = '/bin/' + os.path.basename(prog)
    desc = ['p' + guest_prog, 'd' + o['dir'], 'a' + prog] + ['a' + a for a in args]
    env = dict(PATH='/bin', HOME='/', TMPDIR='/tmp')
    for e in o['env']:
        n, eq, v = e.partition('=')
        env[n] = v if eq else os.environ.get(n, '')
    desc += ['e%s=%s' % kv for kv in env.items()]
    with open(p('initrd'), 'wb') as f:
        c = Cpio(f)
        c.add(os.path.join(HERE, 'init'), '/init')
        for d in ('dev', 'proc', 'sys', 'tmp', '.emu', 'bin'):
            c.dirs.add(d)
            c.entry(d, 0o41777 if d == 'tmp' else 0o40755)
        c.entry('dev/console', 0o20600)
        st = os.stat(prog)
        c.entry(guest_prog, 0o100755, src=prog, size=st.st_size)
        if o['stdin']:
            c.entry('.emu/stdin', 0o100644, open(o['stdin'], 'rb').read())
            desc.append('i/.emu/stdin')
        for cp in o['copy']:
            h, _, g = cp.partition(':')
            c.add(h, g or os.path.abspath(h))
        c.entry('.emu/run', 0o100600, '\0'.join(desc).encode(errors='surrogateescape') + b'\0')
        c.end()
        size = f.tell()
    mem = o['mem']
    kend = 0x1000000 + os.path.getsize(os.path.join(HERE, 'kernel.bin'))
    initrd_at = (kend + 0x1fffff + 0x400000) & ~0x1fffff
    if initrd_at + 2.2 * size + (128 << 20) > mem << 20:
        mem = (initrd_at + int(2.2 * size) + (384 << 20)) >> 20
    mem = (mem + 63) & ~63
    if mem > 3072:
        fail('at most 3072 MiB of memory, %d needed' % mem)
    khz = o['ips'] // 1000
    noise = 'ignore_loglevel' if o['verbose'] else 'quiet loglevel=1'
    cmd = ('console=ttyS0,115200 nokaslr mitigations=off acpi=off pci=off nolapic nosmp tsc=reliable '
           f'tsc_early_khz={khz} no_timer_check lpj={khz * 4} random.trust_cpu=on cryptomgr.notests panic=-1 nowatchdog '
           'nopti rcupdate.rcu_expedited=1 8250.nr_uarts=1 i8042.nokbd i8042.noaux clocksource=tsc '
           f'initcall_blacklist=cubictcp_register,init_blk_tracer,init_kprobe_trace {noise} {o["append"]}')
    boot_blob(p('boot'), cmd, mem, initrd_at, size)
    rc = '''
config_interface: textconfig
display_library: nogui
cpu: model=%s, count=1, ips=%d, reset_on_triple_fault=1, ignore_bad_msrs=1
memory: guest=%d, host=%d
romimage: file="%s/rom.bin"
vgaromimage: file="%s/vga.bin"
optramimage1: file="%s/kernel.bin", address=0x1000000
optramimage2: file="%s/boot", address=0x10000
optramimage3: file="%s/initrd", address=0x%x
vga: extension=none, update_freq=1
boot: floppy
floppy_bootsig_check: disabled=1
pci: enabled=0
clock: sync=none, time0=%d
com1: enabled=1, mode=file, dev="%s/serial"
ata0: enabled=0
ata1: enabled=0
log: "%s/log"
panic: action=fatal
error: action=%s
info: action=report
debug: action=ignore%s
speaker: enabled=0
private_colormap: enabled=0
''' % (model, o['ips'], mem, mem, HERE, HERE, HERE, tmp, tmp, initrd_at, int(time.time()), tmp, tmp,
       'report' if o['verbose'] or os.environ.get('EMU_DEBUG') else 'ignore',
       ', cpu0=report' if os.environ.get('EMU_DEBUG') else '')
    open(p('rc'), 'w').write(rc)
    sys.stdout.flush()
    fds = os.dup(1), os.dup(2)
    for f in fds:
        os.set_inheritable(f, True)
    e = dict(os.environ, EMU_STDOUT_FD=str(fds[0]), EMU_STDERR_FD=str(fds[1]), BXSHARE=HERE)
    with open(p('console'), 'wb') as con:
        b = subprocess.Popen([os.path.join(HERE, 'bin/bochs'), '-q', '-f', p('rc')], stdin=subprocess.DEVNULL,
                             stdout=con, stderr=con, close_fds=False, env=e, cwd=tmp)
        def stop(sig, frame):
            b.kill()
            sys.exit(128 + sig)
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        try:
            r = b.wait(o['timeout'] or None)
        except subprocess.TimeoutExpired:
            b.kill()
            b.wait()
            sys.stderr.write('run.py: stopped after %d s\n' % o['timeout'])
            r = 124
    if r == 1 and b'Bochs is exiting with' in open(p('console'), 'rb').read():
        r = 125
    shown = o['verbose'] or os.environ.get('EMU_DEBUG') or r == 125
    if r < 0 or shown:
        for n in ('console', 'log', 'serial'):
            if os.path.exists(p(n)):
                t = open(p(n), errors='replace').read()
                sys.stderr.write('--- emulator %s ---\n%s\n' % (n, t[-(3000000000 if shown else 3000):]))
    return 125 if r < 0 else r

sys.exit(main())
