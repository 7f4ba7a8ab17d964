/** A customer and a reviewer of the service of docs/service.md, whose processes are this one. */
export const VISIT = `
import './worker.js';
import './web.js';

const order = \`http://localhost:\${process.env['PORT']}/orders/7\`;
const ask = async (path: string, init?: RequestInit) => {
  const response = await fetch(order + path, init);
  const body = await response.text();
  return \`\${response.status} \${body.startsWith('{') ? body : body.match(/^event: .*$/gm)}\`;
};
const post = (path: string, body?: object) => ask(path, { method: 'POST', body: body && JSON.stringify(body) });

console.log(await ask('/progress'));
console.log(await post('', { customer: 'ann', cents: -1 }));
console.log(await post('', { customer: 'ann', cents: 250_000 }));
while (!(await ask('')).includes('suspended')) await new Promise((resolve) => setTimeout(resolve, 5));
console.log(await ask(''));
console.log((await post('/review')).slice(0, 3));
console.log(await ask('/progress'));
console.log(await ask(''));
console.log((await post('/review')).slice(0, 3));
process.kill(process.pid, 'SIGTERM');
`;
