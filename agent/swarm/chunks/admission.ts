/** How many chunk requests are taken at a time: beyond it, "busy" sends the asker elsewhere. */
export interface Admission {
  /** Takes a place for a request from `address`; false where there is none. */
  enter(address: string): boolean;
  /** Gives the place back. */
  leave(address: string): void;
}

export interface AdmissionInit {
  /** Places for one IP address: ids are free, addresses less so. */
  readonly perAddress: number;
  readonly overall: number;
}

export function createAdmission(init: AdmissionInit): Admission {
  const taken = new Map<string, number>();
  let all = 0;
  return {
    enter(address) {
      const theirs = taken.get(address) ?? 0;
      if (theirs >= init.perAddress || all >= init.overall) return false;
      taken.set(address, theirs + 1);
      all += 1;
      return true;
    },
    leave(address) {
      const theirs = taken.get(address) ?? 0;
      if (theirs === 0) throw new RangeError('a place is given back once');
      if (theirs === 1) taken.delete(address);
      else taken.set(address, theirs - 1);
      all -= 1;
    },
  };
}
