// `npm run worker`: the same as `runward worker`.
process.argv.splice(2, 0, 'worker');
await import('../cli/main.ts');
