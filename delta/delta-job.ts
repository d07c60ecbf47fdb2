/** What is asked of the thread that makes and applies deltas, and what it answers. */

/** A tar in an open file, with nothing else in it. */
export interface OpenTar {
  /** Descriptor, open for reading, of any file, also one without a name. */
  readonly fd: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

export type DeltaJob =
  | {
      readonly kind: "make";
      readonly base: OpenTar;
      readonly target: OpenTar;
      readonly outFd: number;
      readonly maxBytes: number;
    }
  | {
      readonly kind: "apply";
      readonly base: OpenTar;
      readonly deltaFd: number;
      readonly expected: { readonly sizeBytes: number; readonly sha256: string };
      readonly outFd: number;
    };

/** Errors lose their class and code on the way between threads. */
export interface JobResult {
  /** How many were written. */
  readonly bytes?: number;
  readonly error?: { readonly message: string; readonly isOfDelta: boolean; readonly code: string | undefined };
}
