// To be imported before the SDK's workflow module, which takes this from its sandbox.

import { AsyncLocalStorage } from 'node:async_hooks';

Object.assign(globalThis, { AsyncLocalStorage });
