// Why a store could not do what was asked: every Store rejects with this and nothing else.

export type StoreFailureCode =
  /** Closed by us, or taken away: deleted, or wanted by a newer version of the app in another tab. */
  | 'closed'
  /** Another tab or process holds it. */
  | 'blocked'
  /** No room left on the disk. */
  | 'full'
  /** Cannot be opened, read or written: damaged, forbidden, broken disk. */
  | 'unusable'
  /** A value does not open under the vault's key. */
  | 'not-ours';

export class StoreFailure extends Error {
  readonly code: StoreFailureCode;

  constructor(code: StoreFailureCode, what: string, options?: { cause: unknown }) {
    super(`store ${code}: ${what}`, options);
    this.name = 'StoreFailure';
    this.code = code;
  }
}
