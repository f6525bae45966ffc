import { enableCompileCache, registerHooks } from 'node:module'
import { setFlagsFromString } from 'node:v8'

/*
 * Loaded before main.ts, only for a quick start and a small process; JavaScript, since Node then need not load what
 * strips types: after the first start all is in the compile cache, stripped.
 *
 * Node 24 reads a package's whole map of exports again for each of its modules, and Drizzle's map has 170 kB: that took
 * most of a second and 150 MB. Inside the package files import each other by relative paths, which need no map.
 *
 * Loading modules makes V8's young generation grow, and it does not shrink again; it may grow when main.ts says so.
 */
setFlagsFromString('--semi-space-growth-factor=1')
enableCompileCache()
registerHooks({
  resolve(specifier, context, nextResolve) {
    const { parentURL } = context
    if (!specifier.startsWith('.') || !parentURL?.includes('/node_modules/drizzle-orm/')) {
      return nextResolve(specifier, context)
    }
    return { url: new URL(specifier, parentURL).href, format: 'module', shortCircuit: true }
  },
})
