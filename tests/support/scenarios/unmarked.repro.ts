export default { guest: 1 };
