import { arch } from 'node:os'

/*
 * Memory that no process has mapped, such as that of a memfd, is in no figure that we could watch, so it cannot be had;
 * nor can what has often been the way out of a sandbox and Python does without.
 */
interface Architecture {
  audit: number
  /** x32 calls have the same architecture with this bit. */
  isX86: boolean
  denied: number[]
}

const architectures: Record<string, Architecture> = {
  x64: {
    audit: 0xc000003e,
    isX86: true,
    denied: [
      ...[319, 447, 29, 68, 240, 425, 426, 427], // memfd_create memfd_secret shmget msgget mq_open io_uring_*
      ...[248, 249, 250, 321, 298, 323, 101, 310, 311], // add_key request_key keyctl bpf perf_event_open userfaultfd ptrace process_vm_*
      ...[165, 166, 155, 161, 272, 308, 428, 429, 430, 431, 432, 442], // mount umount2 pivot_root chroot unshare setns, new mount calls
      ...[246, 320, 313, 175, 176, 169, 304, 303, 278, 275, 276], // kexec_* *_module reboot *_handle_* vmsplice splice tee
    ],
  },
  arm64: {
    audit: 0xc00000b7,
    isX86: false,
    denied: [
      ...[279, 447, 194, 186, 180, 425, 426, 427],
      ...[217, 218, 219, 280, 241, 282, 117, 270, 271],
      ...[40, 39, 41, 51, 97, 268, 428, 429, 430, 431, 432, 442],
      ...[104, 294, 273, 105, 106, 142, 265, 264, 75, 76, 77],
    ],
  },
}

const allow = 0x7fff0000
const killProcess = 0x80000000
const refuse = 0x00050000 | 1 // EPERM
const notThere = 0x00050000 | 38 // ENOSYS: libc then uses clone, whose flags can be seen

/** The filter for this machine's processor, as the kernel takes it; undefined if none is known. */
export function seccompFilter(): Uint8Array | undefined {
  const known = architectures[arch()]
  if (!known) return undefined
  const { audit, isX86, denied } = known
  const clone3 = 435
  const program: [code: number, jt: number, jf: number, k: number][] = [
    [0x20, 0, 0, 4], // load the architecture
    [0x15, 1, 0, audit],
    [0x06, 0, 0, killProcess],
    [0x20, 0, 0, 0], // load the number of the call
  ]
  if (isX86) program.push([0x35, 0, 1, 0x40000000], [0x06, 0, 0, killProcess])
  program.push([0x15, 0, 1, clone3], [0x06, 0, 0, notThere])
  for (const number of denied) program.push([0x15, 0, 1, number], [0x06, 0, 0, refuse])
  program.push([0x06, 0, 0, allow])
  const bytes = Buffer.alloc(program.length * 8)
  for (const [at, [code, jt, jf, k]] of program.entries()) {
    bytes.writeUInt16LE(code, at * 8)
    bytes.writeUInt8(jt, at * 8 + 2)
    bytes.writeUInt8(jf, at * 8 + 3)
    bytes.writeUInt32LE(k, at * 8 + 4)
  }
  return bytes
}
