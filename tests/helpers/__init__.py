"""What several tests share: problems with known answers, small runs, cases."""
