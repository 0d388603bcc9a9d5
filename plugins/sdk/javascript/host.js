/** The functions that the sidecar offers, in one place: the import exists under Wasm only. */

import * as offered from "poolwarden:policy/host@1.0.0";

export const host = offered.default ?? offered;
