/** The build of the package, after the compiler wrote its declarations to `.types`: `npm run build`. */
import { copyDeclarations } from './declarations.js';
import { buildJavaScript } from './javascript.js';

await buildJavaScript();
console.log(`dist and dist/cjs are built, each with ${copyDeclarations()} declaration files`);
