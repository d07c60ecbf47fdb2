/** An uplink, to be shown. */
export interface UplinkState {
  readonly describe: string;
  readonly up: boolean;
  /** No one answers on it: blobs do not wait for it. */
  readonly isResting: boolean;
  /** 0 before the first answer. */
  readonly rttMs: number;
  /** Segments. */
  readonly window: number;
  readonly interests: number;
  readonly retransmissions: number;
  readonly nacks: number;
}
