// npm run setup: everything that the demo and the tests need, from a bare Debian machine with Node.js, npm and git.
import { build, installDependencies, installPrograms } from './host.mjs';

installPrograms();
installDependencies();
build();
