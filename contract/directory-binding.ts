import type { DirectoryCalls } from "./directory.ts";

/** What both Workers bind: `DurableObjectNamespace<DirectoryObject>`. They know the methods only. */
export interface DirectoryObject extends Rpc.DurableObjectBranded, DirectoryCalls {}
