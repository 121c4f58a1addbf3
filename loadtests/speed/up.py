"""`wallet up`, which ends when whoever measures it ends, however that is."""

import os
import signal

from wallet_service.cli import main
from wallet_service.embedded.spawn import die_with_parent

if __name__ == "__main__":
    die_with_parent(os.getppid(), signal.SIGTERM)
    main()
