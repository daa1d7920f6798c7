"""The programs that the tap is measured against, each as its own documentation would have it written."""
